use proptest::prelude::*;

use super::*;

fn points(text: &str, network: bool) -> Vec<String> {
    let selection = Selection::default();
    let found = chosen(parse(text.as_bytes()).unwrap(), network, &selection);
    found.iter().map(|m| m.mountpoint.to_string()).collect()
}

#[test]
fn a_mount_line_is_taken_apart_whatever_optional_fields_it_has() {
    let text = "36 35 98:0 /mnt1 /mnt\\0402 ro,noatime master:1 shared:7 - ext3 /dev/root rw\n\
                22 1 8:1 / / rw - xfs /dev/sda1 rw\n";
    let mounts = parse(text.as_bytes()).unwrap();
    assert_eq!(
        mounts[0],
        Mount {
            number: "98:0".into(),
            root: "/mnt1".into(),
            mountpoint: "/mnt 2".into(),
            fstype: "ext3".into(),
            device: "/dev/root".into(),
            readonly: true,
        }
    );
    assert_eq!(mounts.len(), 2);
    assert!(!mounts[1].readonly);
    let remounted = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro\n";
    assert!(parse(remounted.as_bytes()).unwrap()[0].readonly);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let good = "22 1 8:1 / / rw - xfs /dev/sda1 rw\n";
    for wrong in [
        "1 2 8:1 / /\n",
        "1 2 81 / / rw - xfs a rw\n",
        "1 2 8:1 / / rw xfs a rw\n",
    ] {
        let text = format!("{good}{wrong}");
        assert_eq!(parse(text.as_bytes()).unwrap_err().line, 2, "{wrong:?}");
    }
}

#[test]
fn one_file_system_counts_once_under_the_mount_that_shows_most_of_it() {
    let text = "1 0 8:1 /srv/x /etc/hosts rw - ext4 /dev/sda1 rw\n\
                2 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                3 0 8:1 / /mnt/again rw - ext4 /dev/sda1 rw\n\
                4 0 0:40 /@home /home rw - btrfs /dev/sdb rw\n\
                5 0 0:40 /@ /b rw - btrfs /dev/sdb rw\n";
    assert_eq!(points(text, false), ["/", "/b"]);
}

#[test]
fn what_is_mounted_over_is_hidden() {
    let text = "1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n\
                2 0 8:2 / /data rw - ext4 /dev/sdb1 rw\n";
    let mounts = chosen(
        parse(text.as_bytes()).unwrap(),
        false,
        &Selection::default(),
    );
    assert_eq!(mounts.len(), 1);
    assert_eq!(&*mounts[0].device, "/dev/sdb1");
}

#[test]
fn pseudo_image_layer_and_network_file_systems_do_not_count() {
    let lines = [
        ("proc", "/proc"),
        ("tmpfs", "/run/lock"),
        ("squashfs", "/snap/core/1"),
        ("iso9660", "/media/cd"),
        ("overlay", "/"),
        ("ext4", "/var/lib/docker/overlay2/a"),
        ("nfs4", "/home"),
        ("fuse.sshfs", "/mnt/far"),
        ("autofs", "/net"),
        ("ext4", "/running"),
        ("tmpfs", "/tmp"),
        ("xfs", "/var/lib/docker"),
        ("fuseblk", "/mnt/w"),
    ];
    let text: String = lines
        .iter()
        .enumerate()
        .map(|(i, (fstype, point))| format!("{i} 0 0:{i} / {point} rw - {fstype} dev{i} rw\n"))
        .collect();
    assert_eq!(
        points(&text, false),
        ["/running", "/tmp", "/var/lib/docker", "/mnt/w"]
    );
    assert_eq!(points(&text, true)[..2], ["/home", "/mnt/far"]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(mounts) = parse(&bytes) {
            chosen(mounts, true, &Selection::default());
        }
    }

    #[test]
    fn every_path_comes_back(path in "/[ -~]{0,40}") {
        let escaped: String = path.bytes().map(|b| match b {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{b:03o}"),
            b => char::from(b).to_string(),
        }).collect();
        let text = format!("1 0 8:1 / {escaped} rw - ext4 /dev/sda1 rw\n");
        prop_assert_eq!(&*parse(text.as_bytes()).unwrap()[0].mountpoint, path.as_str());
    }
}
