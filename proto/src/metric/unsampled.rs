//! What node_exporter has by default and Hostwell does not sample, with the reason of each.
//!
//! docs/metrics.md prints this table; the parity test fails on a name that is in neither the
//! catalogue nor here.

/// A name, or a beginning of names with `*` at its end, and why it is not sampled.
pub static NOT_SAMPLED: &[(&str, &str)] = &[
    (
        "node_arp_entries",
        "neighbours are no indicator of risk; an overflow shows as drops",
    ),
    (
        "node_bcache_*",
        "one vendor's cache; its devices are counted as disks",
    ),
    (
        "node_btrfs_*",
        "one file system's inner life; its space is counted like any other",
    ),
    (
        "node_buddyinfo_*",
        "fragmentation of memory; pressure says when it hurts",
    ),
    (
        "node_cgroups_*",
        "the number of control groups says nothing about the host",
    ),
    (
        "node_cooling_device_*",
        "what the hardware does about heat; the temperature is sampled",
    ),
    (
        "node_cpu_core_throttles_total",
        "per-core thermal events of one vendor; the temperature is sampled",
    ),
    ("node_cpu_frequency_*", "the governor's settings, not load"),
    (
        "node_cpu_package_throttles_total",
        "per-package thermal events of one vendor; the temperature is sampled",
    ),
    ("node_cpu_scaling_*", "the governor's settings, not load"),
    (
        "node_disk_ata_*",
        "inventory of the disk, not a measurement",
    ),
    (
        "node_disk_device_mapper_info",
        "inventory of the disk, not a measurement",
    ),
    (
        "node_disk_filesystem_info",
        "inventory of the disk, not a measurement",
    ),
    (
        "node_disk_info",
        "inventory of the disk (from udev), not a measurement",
    ),
    (
        "node_dmi_info",
        "inventory of the machine, not a measurement",
    ),
    (
        "node_edac_*",
        "memory error counts: a candidate, needs hardware to test on",
    ),
    ("node_entropy_*", "constant since kernel 5.18"),
    ("node_exporter_build_info", "about node_exporter"),
    (
        "node_fibrechannel_*",
        "vendor hardware: needs hardware to test on",
    ),
    (
        "node_hwmon_*",
        "of a chip's sensors only temperatures are sampled",
    ),
    (
        "node_infiniband_*",
        "vendor hardware: needs hardware to test on",
    ),
    ("node_ipvs_*", "one load balancer's inner life"),
    ("node_memory_Active_anon_bytes", "a part of Active"),
    ("node_memory_Active_file_bytes", "a part of Active"),
    (
        "node_memory_Balloon_bytes",
        "held by a hypervisor; MemAvailable reflects it",
    ),
    ("node_memory_Bounce_bytes", "for 32-bit hardware"),
    ("node_memory_Cma*", "a device driver's reserve"),
    (
        "node_memory_DirectMap*",
        "how the kernel maps memory, not how much is used",
    ),
    ("node_memory_FileHugePages_bytes", "a part of Cached"),
    ("node_memory_FilePmdMapped_bytes", "a part of Mapped"),
    ("node_memory_High*", "for 32-bit kernels"),
    (
        "node_memory_HugePages_Rsvd",
        "promised pages; total and free are sampled",
    ),
    (
        "node_memory_HugePages_Surp",
        "pages over the reserve; total and free are sampled",
    ),
    (
        "node_memory_Hugetlb_bytes",
        "the product of two sampled values",
    ),
    ("node_memory_Inactive_anon_bytes", "a part of Inactive"),
    ("node_memory_Inactive_file_bytes", "a part of Inactive"),
    (
        "node_memory_KReclaimable_bytes",
        "SReclaimable and little more",
    ),
    ("node_memory_Low*", "for 32-bit kernels"),
    (
        "node_memory_NFS_Unstable_bytes",
        "always 0 since kernel 5.8",
    ),
    (
        "node_memory_Percpu_bytes",
        "small, and grows only with the number of CPUs",
    ),
    (
        "node_memory_SecPageTables_bytes",
        "page tables of guests; small",
    ),
    ("node_memory_ShmemHugePages_bytes", "a part of Shmem"),
    ("node_memory_ShmemPmdMapped_bytes", "a part of Shmem"),
    (
        "node_memory_Unaccepted_bytes",
        "of confidential guests while they start",
    ),
    ("node_memory_Vmalloc*", "address space, not memory"),
    (
        "node_memory_WritebackTmp_bytes",
        "buffers of file systems in user space; small",
    ),
    (
        "node_memory_Zswap*",
        "compressed swap; swap itself is sampled",
    ),
    (
        "node_netstat_Icmp6_*",
        "IPv6 alone; a candidate with the protocol split",
    ),
    (
        "node_netstat_Ip6_*",
        "IPv6 alone; interfaces count both protocols",
    ),
    (
        "node_netstat_Udp6_*",
        "IPv6 alone; a candidate with the protocol split",
    ),
    ("node_netstat_UdpLite*", "a protocol hardly anybody uses"),
    (
        "node_network_address_assign_type",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_carrier",
        "node_network_up and the count of changes say the same",
    ),
    (
        "node_network_carrier_down_changes_total",
        "half of the sampled count of changes",
    ),
    (
        "node_network_carrier_up_changes_total",
        "half of the sampled count of changes",
    ),
    (
        "node_network_device_id",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_dormant",
        "a state between up and down; node_network_up is sampled",
    ),
    (
        "node_network_flags",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_iface_*",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_info",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_mtu_bytes",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_name_assign_type",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_net_dev_group",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_network_protocol_type",
        "set-up of the interface, not a measurement",
    ),
    ("node_network_receive_compressed_total", "of modems"),
    (
        "node_network_receive_nohandler_total",
        "not in /proc/net/dev; drops are sampled",
    ),
    ("node_network_transmit_compressed_total", "of modems"),
    (
        "node_network_transmit_queue_length",
        "set-up of the interface, not a measurement",
    ),
    (
        "node_nf_conntrack_stat_*",
        "how the table is used; entries and limit are sampled",
    ),
    ("node_nfs_*", "one file system's inner life"),
    ("node_nfsd_*", "one service's inner life"),
    ("node_nvme_info", "inventory of the disk, not a measurement"),
    ("node_power_supply_*", "of laptops"),
    (
        "node_rapl_*",
        "may only be read by root; the agent is not root",
    ),
    (
        "node_schedstat_*",
        "per-core waiting; pressure and load say it for the host",
    ),
    (
        "node_scrape_collector_*",
        "about node_exporter; ours is hostwell_probe_*",
    ),
    ("node_selinux_*", "set-up of the host, not a measurement"),
    (
        "node_sockstat_FRAG*",
        "reassembly of fragments; failures show as errors",
    ),
    ("node_sockstat_RAW*", "few programs have raw sockets"),
    (
        "node_sockstat_TCP6_inuse",
        "IPv6 alone; sockets_used counts both",
    ),
    (
        "node_sockstat_UDP6_inuse",
        "IPv6 alone; sockets_used counts both",
    ),
    ("node_sockstat_UDPLITE*", "a protocol hardly anybody uses"),
    (
        "node_softnet_*",
        "per-core packet queues; interfaces count the drops",
    ),
    ("node_tape_*", "tape drives"),
    (
        "node_textfile_*",
        "about node_exporter: files that other programs write",
    ),
    (
        "node_time_clocksource_*",
        "set-up of the clock, not a measurement",
    ),
    ("node_time_zone_offset_seconds", "every time of ours is UTC"),
    ("node_timex_pps_*", "of clocks with a pulse-per-second line"),
    (
        "node_udp_queues",
        "asks every socket; buffer errors are sampled",
    ),
    ("node_xfs_*", "one file system's inner life"),
    ("node_zfs_*", "one file system's inner life"),
];

/// Why a metric of node_exporter is not sampled; `None` where nobody has said so.
pub fn not_sampled_because(name: &str) -> Option<&'static str> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    let row = NOT_SAMPLED.iter().find(|(pattern, _)| matches(pattern));
    row.map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::super::CATALOGUE;
    use super::*;

    #[test]
    fn reasons_are_sorted_and_given_once() {
        assert!(NOT_SAMPLED.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn what_is_sampled_is_not_excused_by_name() {
        for row in CATALOGUE {
            let excused = NOT_SAMPLED.iter().any(|(name, _)| *name == row.name);
            assert!(!excused, "{}", row.name);
        }
        assert_eq!(not_sampled_because("node_arp_entries_more"), None);
        assert!(not_sampled_because("node_xfs_anything").is_some());
    }
}
