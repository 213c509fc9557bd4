#!/bin/sh
# Makes sure that the real programs the tests and benchmarks run beside ours are there.
# usage: tools.sh test|bench|bench-history|eval
# Installs what is missing by its Debian package name; where it cannot, it says what to install.
set -eu
export PATH="$PATH:/usr/sbin:/sbin:/usr/lib/pcp/bin"

case "${1:-}" in
test)
  wanted='prometheus-node-exporter=prometheus-node-exporter promtool=prometheus chromium=chromium pdftotext=poppler-utils prometheus-alertmanager=prometheus-alertmanager'
  ;;
bench)
  wanted='prometheus-node-exporter=prometheus-node-exporter collectd=collectd-core pmcd=pcp pmlogger=pcp strace=strace'
  ;;
bench-history)
  wanted='victoria-metrics=victoria-metrics prometheus=prometheus'
  ;;
eval)
  # A name that ends in .py is a module of Python's: that one makes environments.
  wanted='python3=python3-minimal ensurepip.py=python3-venv'
  ;;
*)
  echo "usage: tools.sh test|bench|bench-history|eval" >&2
  exit 2
  ;;
esac

has() {
  case "$1" in
  # Debian's packages are seen by Debian's Python, which may not be the first in PATH.
  *.py) for python in python3 /usr/bin/python3; do
      $python -c "import ${1%.py}" >/dev/null 2>&1 && return
    done
    return 1 ;;
  *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

missing() {
  for pair in $wanted; do
    has "${pair%%=*}" || printf '%s\n' "${pair#*=}"
  done | sort -u | tr '\n' ' '
}

packages=$(missing)
[ -n "$packages" ] || exit 0

give_up() {
  echo "make $1 needs these Debian packages and could not install them: $packages" >&2
  echo "install them with:  sudo apt-get install --no-install-recommends $packages" >&2
  echo "(on another system: the programs $(for p in $wanted; do printf '%s ' "${p%%=*}"; done)in PATH)" >&2
  exit 2
}

command -v apt-get >/dev/null 2>&1 || give_up "$1"
if [ "$(id -u)" = 0 ]; then
  root=
elif sudo -n true 2>/dev/null; then
  root='sudo -n'
else
  give_up "$1"
fi

# Only the programs are wanted: a policy that refuses every start keeps the services these packages
# bring from running (and from failing where there is no init). One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
  $root chmod 755 $policy
  trap '$root rm -f $policy' EXIT INT TERM
fi

echo "installing: $packages"
install() {
  # shellcheck disable=SC2086 # a list of package names
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
}
# A package may be unpacked and yet fail to configure (pcp without an init system): what counts is
# whether the programs are there.
install || { $root apt-get update -qq && install; } || true
packages=$(missing)
[ -z "$packages" ] || give_up "$1"
