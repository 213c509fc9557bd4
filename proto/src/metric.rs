//! The catalogue: every metric Hostwell samples, defined once.
//!
//! Names, units and labels are node_exporter's where it has the metric; `hostwell_*` only for what
//! it lacks. Everything else (the wire, the store, `once -o prometheus`, docs/metrics.md) derives
//! from this table. Adding a metric: one row here, the reading in its probe, the goldens.

mod unsampled;

pub use unsampled::{NOT_SAMPLED, not_sampled_because};

/// How a metric's values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Raw cumulative count; falls only when it restarts.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Base unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes each second.
    BytesPerSecond,
    /// 0 to 1.
    Ratio,
    /// A plain number of things.
    Count,
    /// Degrees Celsius.
    Celsius,
    /// 1 for a fact that the labels tell; 0 or 1 for a state.
    Flag,
}

/// Which part of a host a metric belongs to. Blocks in the store hold one family of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// CPU time, load, scheduler, pressure.
    Cpu = 1,
    /// Memory, swap, vmstat.
    Memory = 2,
    /// Interfaces, sockets, conntrack, bonds.
    Network = 3,
    /// Block devices and arrays.
    Disk = 4,
    /// File systems.
    Filesystem = 5,
    /// Clock, boot, limits, temperature, processes, kernel facts.
    System = 6,
    /// The agent and collector themselves.
    Own = 7,
    /// What is not in the catalogue.
    Other = 8,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 8] = [
        Family::Cpu,
        Family::Memory,
        Family::Network,
        Family::Disk,
        Family::Filesystem,
        Family::System,
        Family::Own,
        Family::Other,
    ];

    /// The word for it in settings and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Cpu => "cpu",
            Family::Memory => "memory",
            Family::Network => "network",
            Family::Disk => "disk",
            Family::Filesystem => "filesystem",
            Family::System => "system",
            Family::Own => "own",
            Family::Other => "uncatalogued",
        }
    }
}

/// One row of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// node_exporter's name, or `hostwell_*`.
    pub name: &'static str,
    /// OpenTelemetry's name, with attributes in braces; empty where it has none.
    pub otel: &'static str,
    /// Base unit.
    pub unit: Unit,
    /// Counter or gauge.
    pub kind: Kind,
    /// Label names, sorted.
    pub labels: &'static [&'static str],
    /// Storage family.
    pub family: Family,
    /// Decimal places of the kernel's own resolution (2 for ticks of 10 ms, 3 for milliseconds,
    /// 0 for whole numbers): what packing tries first. Never loses anything: see [`crate::column`].
    pub decimals: u8,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($id:ident = $name:literal, $otel:literal, $unit:ident, $kind:ident, [$($label:literal),*],
       $family:ident, $decimals:literal, $help:literal;)*) => {
        /// Every metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the table is the documentation: see Descriptor::help")]
        pub enum Metric { $($id),* }

        /// The table, in the order of [`Metric`].
        pub static CATALOGUE: &[Descriptor] = &[$(Descriptor {
            name: $name, otel: $otel, unit: Unit::$unit, kind: Kind::$kind,
            labels: &[$($label),*], family: Family::$family, decimals: $decimals, help: $help,
        }),*];

        /// Every metric, in order.
        pub static ALL: &[Metric] = &[$(Metric::$id),*];
    };
}

catalogue! {
    // CPU: time, scheduler, load, pressure.
    CpuSeconds = "node_cpu_seconds_total", "system.cpu.time{cpu.logical_number,cpu.mode}",
        Seconds, Counter, ["cpu", "mode"], Cpu, 2, "Seconds each CPU spent in each mode.";
    CpuGuestSeconds = "node_cpu_guest_seconds_total", "",
        Seconds, Counter, ["cpu", "mode"], Cpu, 2, "Seconds each CPU spent running guests; also counted in user and nice.";
    CpuCoreBusyRatio = "hostwell_cpu_core_busy_ratio", "system.cpu.utilization{cpu.logical_number}",
        Ratio, Gauge, ["cpu"], Cpu, 6, "Part of the time since the sample before that a CPU was busy; only where the system does not tell node_cpu_seconds_total.";
    Interrupts = "node_intr_total", "system.linux.interrupts",
        Count, Counter, [], Cpu, 0, "Interrupts serviced.";
    ContextSwitches = "node_context_switches_total", "process.context_switches",
        Count, Counter, [], Cpu, 0, "Context switches.";
    Forks = "node_forks_total", "system.process.created",
        Count, Counter, [], Cpu, 0, "Processes and threads created.";
    ProcsRunning = "node_procs_running", "system.process.count{process.state=running}",
        Count, Gauge, [], Cpu, 0, "Tasks running or ready to run.";
    ProcsBlocked = "node_procs_blocked", "system.process.count{process.state=blocked}",
        Count, Gauge, [], Cpu, 0, "Tasks blocked waiting for input or output.";
    Load1 = "node_load1", "system.cpu.load_average.1m",
        Count, Gauge, [], Cpu, 2, "Load average over 1 minute.";
    Load5 = "node_load5", "system.cpu.load_average.5m",
        Count, Gauge, [], Cpu, 2, "Load average over 5 minutes.";
    Load15 = "node_load15", "system.cpu.load_average.15m",
        Count, Gauge, [], Cpu, 2, "Load average over 15 minutes.";
    PressureCpuWaiting = "node_pressure_cpu_waiting_seconds_total", "system.linux.psi.time{resource=cpu,stall=some}",
        Seconds, Counter, [], Cpu, 6, "Seconds in which some task waited for a CPU.";
    PressureCpuStalled = "hostwell_pressure_cpu_stalled_seconds_total", "system.linux.psi.time{resource=cpu,stall=full}",
        Seconds, Counter, [], Cpu, 6, "Seconds in which every task waited for a CPU; always 0 for a whole host.";
    PressureMemoryWaiting = "node_pressure_memory_waiting_seconds_total", "system.linux.psi.time{resource=memory,stall=some}",
        Seconds, Counter, [], Memory, 6, "Seconds in which some task waited for memory.";
    PressureMemoryStalled = "node_pressure_memory_stalled_seconds_total", "system.linux.psi.time{resource=memory,stall=full}",
        Seconds, Counter, [], Memory, 6, "Seconds in which every task waited for memory.";
    PressureIoWaiting = "node_pressure_io_waiting_seconds_total", "system.linux.psi.time{resource=io,stall=some}",
        Seconds, Counter, [], Disk, 6, "Seconds in which some task waited for input or output.";
    PressureIoStalled = "node_pressure_io_stalled_seconds_total", "system.linux.psi.time{resource=io,stall=full}",
        Seconds, Counter, [], Disk, 6, "Seconds in which every task waited for input or output.";

    // Memory and swap.
    MemTotal = "node_memory_MemTotal_bytes", "system.memory.limit",
        Bytes, Gauge, [], Memory, 0, "Memory the kernel manages.";
    MemFree = "node_memory_MemFree_bytes", "system.memory.usage{system.memory.state=free}",
        Bytes, Gauge, [], Memory, 0, "Memory not used for anything.";
    MemAvailable = "node_memory_MemAvailable_bytes", "system.linux.memory.available",
        Bytes, Gauge, [], Memory, 0, "Memory that new programs can have without swapping, by the kernel's estimate.";
    MemBuffers = "node_memory_Buffers_bytes", "system.memory.usage{system.memory.state=buffers}",
        Bytes, Gauge, [], Memory, 0, "Cached blocks of devices.";
    MemCached = "node_memory_Cached_bytes", "system.memory.usage{system.memory.state=cached}",
        Bytes, Gauge, [], Memory, 0, "Cached pages of files, shared memory included.";
    MemActive = "node_memory_Active_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory used recently.";
    MemInactive = "node_memory_Inactive_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory not used recently, reclaimed first.";
    MemUnevictable = "node_memory_Unevictable_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory that cannot be reclaimed.";
    MemMlocked = "node_memory_Mlocked_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory locked by programs.";
    MemDirty = "node_memory_Dirty_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory waiting to be written to disk.";
    MemWriteback = "node_memory_Writeback_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory being written to disk.";
    MemAnonPages = "node_memory_AnonPages_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory of programs without a file behind it.";
    MemMapped = "node_memory_Mapped_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Files mapped into programs.";
    MemShmem = "node_memory_Shmem_bytes", "system.memory.linux.shared",
        Bytes, Gauge, [], Memory, 0, "Shared memory and tmpfs.";
    MemSlab = "node_memory_Slab_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory of kernel structures.";
    MemSReclaimable = "node_memory_SReclaimable_bytes", "system.memory.linux.slab.usage{system.memory.linux.slab.state=reclaimable}",
        Bytes, Gauge, [], Memory, 0, "Kernel structures that can be reclaimed.";
    MemSUnreclaim = "node_memory_SUnreclaim_bytes", "system.memory.linux.slab.usage{system.memory.linux.slab.state=unreclaimable}",
        Bytes, Gauge, [], Memory, 0, "Kernel structures that cannot be reclaimed.";
    MemKernelStack = "node_memory_KernelStack_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Kernel stacks of all tasks.";
    MemPageTables = "node_memory_PageTables_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Page tables.";
    MemCommitLimit = "node_memory_CommitLimit_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory that may be promised under strict overcommit.";
    MemCommittedAs = "node_memory_Committed_AS_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory promised to programs.";
    MemHardwareCorrupted = "node_memory_HardwareCorrupted_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory taken out of use because it is broken.";
    MemAnonHugePages = "node_memory_AnonHugePages_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Transparent huge pages of programs.";
    HugePagesTotal = "node_memory_HugePages_Total", "system.memory.linux.hugepages.limit",
        Count, Gauge, [], Memory, 0, "Reserved huge pages.";
    HugePagesFree = "node_memory_HugePages_Free", "system.memory.linux.hugepages.usage{system.memory.linux.hugepages.state=free}",
        Count, Gauge, [], Memory, 0, "Reserved huge pages not in use.";
    HugePageSize = "node_memory_Hugepagesize_bytes", "system.memory.linux.hugepages.page_size",
        Bytes, Gauge, [], Memory, 0, "Size of a huge page.";
    SwapTotal = "node_memory_SwapTotal_bytes", "system.paging.limit",
        Bytes, Gauge, [], Memory, 0, "Swap space.";
    SwapFree = "node_memory_SwapFree_bytes", "system.paging.usage{system.paging.state=free}",
        Bytes, Gauge, [], Memory, 0, "Swap space not in use.";
    SwapCached = "node_memory_SwapCached_bytes", "",
        Bytes, Gauge, [], Memory, 0, "Memory that is also in swap.";
    PageFaults = "node_vmstat_pgfault", "system.paging.faults",
        Count, Counter, [], Memory, 0, "Page faults, minor and major.";
    MajorPageFaults = "node_vmstat_pgmajfault", "system.paging.faults{system.paging.fault.type=major}",
        Count, Counter, [], Memory, 0, "Page faults that had to read a disk.";
    PagesIn = "node_vmstat_pgpgin", "",
        Count, Counter, [], Memory, 0, "KiB read from block devices.";
    PagesOut = "node_vmstat_pgpgout", "",
        Count, Counter, [], Memory, 0, "KiB written to block devices.";
    SwapIn = "node_vmstat_pswpin", "system.paging.operations{system.paging.direction=in}",
        Count, Counter, [], Memory, 0, "Pages read back from swap.";
    SwapOut = "node_vmstat_pswpout", "system.paging.operations{system.paging.direction=out}",
        Count, Counter, [], Memory, 0, "Pages written to swap.";
    OomKills = "node_vmstat_oom_kill", "system.linux.memory.oom_kills",
        Count, Counter, [], Memory, 0, "Processes killed because memory ran out.";

    // Network: interfaces.
    NetReceiveBytes = "node_network_receive_bytes_total", "system.network.io{network.interface.name,network.io.direction=receive}",
        Bytes, Counter, ["device"], Network, 0, "Bytes received.";
    NetReceivePackets = "node_network_receive_packets_total", "system.network.packet.count{network.interface.name,network.io.direction=receive}",
        Count, Counter, ["device"], Network, 0, "Packets received.";
    NetReceiveErrs = "node_network_receive_errs_total", "system.network.errors{network.interface.name,network.io.direction=receive}",
        Count, Counter, ["device"], Network, 0, "Packets received broken.";
    NetReceiveDrop = "node_network_receive_drop_total", "system.network.packet.dropped{network.interface.name,network.io.direction=receive}",
        Count, Counter, ["device"], Network, 0, "Received packets dropped for want of room or of a taker.";
    NetReceiveFifo = "node_network_receive_fifo_total", "",
        Count, Counter, ["device"], Network, 0, "Overruns of the receive queue.";
    NetReceiveFrame = "node_network_receive_frame_total", "",
        Count, Counter, ["device"], Network, 0, "Packets received with broken framing.";
    NetReceiveMulticast = "node_network_receive_multicast_total", "",
        Count, Counter, ["device"], Network, 0, "Multicast packets received.";
    NetTransmitBytes = "node_network_transmit_bytes_total", "system.network.io{network.interface.name,network.io.direction=transmit}",
        Bytes, Counter, ["device"], Network, 0, "Bytes sent.";
    NetTransmitPackets = "node_network_transmit_packets_total", "system.network.packet.count{network.interface.name,network.io.direction=transmit}",
        Count, Counter, ["device"], Network, 0, "Packets sent.";
    NetTransmitErrs = "node_network_transmit_errs_total", "system.network.errors{network.interface.name,network.io.direction=transmit}",
        Count, Counter, ["device"], Network, 0, "Packets that could not be sent.";
    NetTransmitDrop = "node_network_transmit_drop_total", "system.network.packet.dropped{network.interface.name,network.io.direction=transmit}",
        Count, Counter, ["device"], Network, 0, "Packets dropped before they were sent.";
    NetTransmitFifo = "node_network_transmit_fifo_total", "",
        Count, Counter, ["device"], Network, 0, "Overruns of the send queue.";
    NetTransmitColls = "node_network_transmit_colls_total", "",
        Count, Counter, ["device"], Network, 0, "Collisions while sending.";
    NetTransmitCarrier = "node_network_transmit_carrier_total", "",
        Count, Counter, ["device"], Network, 0, "Packets not sent because the line was lost.";
    NetSpeed = "node_network_speed_bytes", "system.network.speed{network.interface.name}",
        BytesPerSecond, Gauge, ["device"], Network, 0, "Speed of the line in bytes a second; absent where the driver does not know it.";
    NetUp = "node_network_up", "system.network.up{network.interface.name}",
        Flag, Gauge, ["device"], Network, 0, "1 when the interface is operational.";
    NetCarrierChanges = "node_network_carrier_changes_total", "",
        Count, Counter, ["device"], Network, 0, "Times the signal on the line came or went.";
    BondSlaves = "node_bonding_slaves", "",
        Count, Gauge, ["master"], Network, 0, "Interfaces configured in a bond.";
    BondActive = "node_bonding_active", "",
        Count, Gauge, ["master"], Network, 0, "Interfaces of a bond whose line is up.";

    // Network: protocols and tables.
    TcpActiveOpens = "node_netstat_Tcp_ActiveOpens", "system.network.tcp.connections.opened{direction=active}",
        Count, Counter, [], Network, 0, "TCP connections opened from here.";
    TcpPassiveOpens = "node_netstat_Tcp_PassiveOpens", "system.network.tcp.connections.opened{direction=passive}",
        Count, Counter, [], Network, 0, "TCP connections accepted.";
    TcpCurrEstab = "node_netstat_Tcp_CurrEstab", "system.network.connection.count{network.connection.state=established}",
        Count, Gauge, [], Network, 0, "TCP connections established now.";
    TcpInSegs = "node_netstat_Tcp_InSegs", "",
        Count, Counter, [], Network, 0, "TCP segments received.";
    TcpOutSegs = "node_netstat_Tcp_OutSegs", "",
        Count, Counter, [], Network, 0, "TCP segments sent.";
    TcpRetransSegs = "node_netstat_Tcp_RetransSegs", "system.network.tcp.retransmits",
        Count, Counter, [], Network, 0, "TCP segments sent again.";
    TcpInErrs = "node_netstat_Tcp_InErrs", "",
        Count, Counter, [], Network, 0, "TCP segments received broken.";
    TcpOutRsts = "node_netstat_Tcp_OutRsts", "",
        Count, Counter, [], Network, 0, "TCP resets sent.";
    TcpListenOverflows = "node_netstat_TcpExt_ListenOverflows", "system.network.tcp.listen.overflows",
        Count, Counter, [], Network, 0, "Connections lost because a program did not accept in time.";
    TcpListenDrops = "node_netstat_TcpExt_ListenDrops", "system.network.tcp.listen.drops",
        Count, Counter, [], Network, 0, "Connections lost before they were accepted, for any reason.";
    TcpSynRetrans = "node_netstat_TcpExt_TCPSynRetrans", "",
        Count, Counter, [], Network, 0, "Connection requests sent again.";
    TcpTimeouts = "node_netstat_TcpExt_TCPTimeouts", "",
        Count, Counter, [], Network, 0, "TCP timers that ran out.";
    TcpSyncookiesSent = "node_netstat_TcpExt_SyncookiesSent", "",
        Count, Counter, [], Network, 0, "SYN cookies sent because the queue was full.";
    TcpSyncookiesRecv = "node_netstat_TcpExt_SyncookiesRecv", "",
        Count, Counter, [], Network, 0, "SYN cookies that came back.";
    TcpSyncookiesFailed = "node_netstat_TcpExt_SyncookiesFailed", "",
        Count, Counter, [], Network, 0, "SYN cookies that came back wrong.";
    UdpInDatagrams = "node_netstat_Udp_InDatagrams", "",
        Count, Counter, [], Network, 0, "UDP datagrams received.";
    UdpOutDatagrams = "node_netstat_Udp_OutDatagrams", "",
        Count, Counter, [], Network, 0, "UDP datagrams sent.";
    UdpNoPorts = "node_netstat_Udp_NoPorts", "",
        Count, Counter, [], Network, 0, "UDP datagrams for a port nobody listens on.";
    UdpInErrors = "node_netstat_Udp_InErrors", "",
        Count, Counter, [], Network, 0, "UDP datagrams that could not be delivered.";
    UdpRcvbufErrors = "node_netstat_Udp_RcvbufErrors", "",
        Count, Counter, [], Network, 0, "UDP datagrams lost because the receive buffer was full.";
    UdpSndbufErrors = "node_netstat_Udp_SndbufErrors", "",
        Count, Counter, [], Network, 0, "UDP datagrams lost because the send buffer was full.";
    IcmpInMsgs = "node_netstat_Icmp_InMsgs", "",
        Count, Counter, [], Network, 0, "ICMP messages received.";
    IcmpInErrors = "node_netstat_Icmp_InErrors", "",
        Count, Counter, [], Network, 0, "ICMP messages received broken.";
    IcmpOutMsgs = "node_netstat_Icmp_OutMsgs", "",
        Count, Counter, [], Network, 0, "ICMP messages sent.";
    IpForwarding = "node_netstat_Ip_Forwarding", "",
        Count, Gauge, [], Network, 0, "1 when the host forwards packets, else 2.";
    IpExtInOctets = "node_netstat_IpExt_InOctets", "",
        Bytes, Counter, [], Network, 0, "Bytes of IPv4 packets received.";
    IpExtOutOctets = "node_netstat_IpExt_OutOctets", "",
        Bytes, Counter, [], Network, 0, "Bytes of IPv4 packets sent.";
    SocketsUsed = "node_sockstat_sockets_used", "",
        Count, Gauge, [], Network, 0, "Sockets of every kind.";
    TcpSocketsInUse = "node_sockstat_TCP_inuse", "",
        Count, Gauge, [], Network, 0, "TCP sockets over IPv4 in use.";
    TcpSocketsOrphan = "node_sockstat_TCP_orphan", "",
        Count, Gauge, [], Network, 0, "TCP sockets that no program owns any more.";
    TcpSocketsTimeWait = "node_sockstat_TCP_tw", "system.network.connection.count{network.connection.state=time_wait}",
        Count, Gauge, [], Network, 0, "TCP sockets waiting for stragglers.";
    TcpSocketsAlloc = "node_sockstat_TCP_alloc", "",
        Count, Gauge, [], Network, 0, "TCP sockets allocated.";
    TcpSocketsMem = "node_sockstat_TCP_mem", "",
        Count, Gauge, [], Network, 0, "Pages of memory in TCP buffers.";
    TcpSocketsMemBytes = "node_sockstat_TCP_mem_bytes", "",
        Bytes, Gauge, [], Network, 0, "Memory in TCP buffers.";
    UdpSocketsInUse = "node_sockstat_UDP_inuse", "",
        Count, Gauge, [], Network, 0, "UDP sockets over IPv4 in use.";
    UdpSocketsMem = "node_sockstat_UDP_mem", "",
        Count, Gauge, [], Network, 0, "Pages of memory in UDP buffers.";
    UdpSocketsMemBytes = "node_sockstat_UDP_mem_bytes", "",
        Bytes, Gauge, [], Network, 0, "Memory in UDP buffers.";
    ConntrackEntries = "node_nf_conntrack_entries", "system.network.conntrack.count",
        Count, Gauge, [], Network, 0, "Connections the firewall keeps track of.";
    ConntrackLimit = "node_nf_conntrack_entries_limit", "system.network.conntrack.max",
        Count, Gauge, [], Network, 0, "Connections the firewall can keep track of.";

    // Disk: block devices and arrays.
    DiskReads = "node_disk_reads_completed_total", "system.disk.operations{system.device,disk.io.direction=read}",
        Count, Counter, ["device"], Disk, 0, "Reads completed.";
    DiskReadsMerged = "node_disk_reads_merged_total", "system.disk.merged{system.device,disk.io.direction=read}",
        Count, Counter, ["device"], Disk, 0, "Reads merged with a neighbour.";
    DiskReadBytes = "node_disk_read_bytes_total", "system.disk.io{system.device,disk.io.direction=read}",
        Bytes, Counter, ["device"], Disk, 0, "Bytes read.";
    DiskReadTime = "node_disk_read_time_seconds_total", "system.disk.operation_time{system.device,disk.io.direction=read}",
        Seconds, Counter, ["device"], Disk, 3, "Seconds all reads took together.";
    DiskWrites = "node_disk_writes_completed_total", "system.disk.operations{system.device,disk.io.direction=write}",
        Count, Counter, ["device"], Disk, 0, "Writes completed.";
    DiskWritesMerged = "node_disk_writes_merged_total", "system.disk.merged{system.device,disk.io.direction=write}",
        Count, Counter, ["device"], Disk, 0, "Writes merged with a neighbour.";
    DiskWrittenBytes = "node_disk_written_bytes_total", "system.disk.io{system.device,disk.io.direction=write}",
        Bytes, Counter, ["device"], Disk, 0, "Bytes written.";
    DiskWriteTime = "node_disk_write_time_seconds_total", "system.disk.operation_time{system.device,disk.io.direction=write}",
        Seconds, Counter, ["device"], Disk, 3, "Seconds all writes took together.";
    DiskIoNow = "node_disk_io_now", "",
        Count, Gauge, ["device"], Disk, 0, "Operations in flight.";
    DiskIoTime = "node_disk_io_time_seconds_total", "system.disk.io_time{system.device}",
        Seconds, Counter, ["device"], Disk, 3, "Seconds the device was busy.";
    DiskIoTimeWeighted = "node_disk_io_time_weighted_seconds_total", "",
        Seconds, Counter, ["device"], Disk, 3, "Seconds of all operations together, those in flight included.";
    DiskDiscards = "node_disk_discards_completed_total", "",
        Count, Counter, ["device"], Disk, 0, "Discards completed.";
    DiskDiscardsMerged = "node_disk_discards_merged_total", "",
        Count, Counter, ["device"], Disk, 0, "Discards merged with a neighbour.";
    DiskDiscardedSectors = "node_disk_discarded_sectors_total", "",
        Count, Counter, ["device"], Disk, 0, "Sectors of 512 bytes discarded.";
    DiskDiscardTime = "node_disk_discard_time_seconds_total", "",
        Seconds, Counter, ["device"], Disk, 3, "Seconds all discards took together.";
    DiskFlushes = "node_disk_flush_requests_total", "",
        Count, Counter, ["device"], Disk, 0, "Flushes completed.";
    DiskFlushTime = "node_disk_flush_requests_time_seconds_total", "",
        Seconds, Counter, ["device"], Disk, 3, "Seconds all flushes took together.";
    MdState = "node_md_state", "",
        Flag, Gauge, ["device", "state"], Disk, 0, "1 for the state the array is in.";
    MdDisks = "node_md_disks", "",
        Count, Gauge, ["device", "state"], Disk, 0, "Members of the array by state.";
    MdDisksRequired = "node_md_disks_required", "",
        Count, Gauge, ["device"], Disk, 0, "Members the array should have.";
    MdBlocks = "node_md_blocks", "",
        Count, Gauge, ["device"], Disk, 0, "Blocks of the array.";
    MdBlocksSynced = "node_md_blocks_synced", "",
        Count, Gauge, ["device"], Disk, 0, "Blocks of the array that are in sync.";

    // File systems.
    FilesystemSize = "node_filesystem_size_bytes", "system.filesystem.limit{system.device,system.filesystem.type,system.filesystem.mountpoint}",
        Bytes, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "Size of the file system.";
    FilesystemFree = "node_filesystem_free_bytes", "system.filesystem.usage{system.filesystem.state=free}",
        Bytes, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "Bytes free, what is kept back for root included.";
    FilesystemAvail = "node_filesystem_avail_bytes", "system.filesystem.usage{system.filesystem.state=available}",
        Bytes, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "Bytes free for everybody.";
    FilesystemFiles = "node_filesystem_files", "",
        Count, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "Inodes in all; 0 where there is no limit.";
    FilesystemFilesFree = "node_filesystem_files_free", "",
        Count, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "Inodes free.";
    FilesystemReadonly = "node_filesystem_readonly", "",
        Flag, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "1 when mounted read-only.";
    FilesystemDeviceError = "node_filesystem_device_error", "",
        Flag, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "1 when the file system could not be asked.";
    FilesystemStuck = "hostwell_filesystem_stuck", "",
        Flag, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 0, "1 when the file system does not answer.";
    FilesystemsOverLimit = "hostwell_filesystems_over_limit", "",
        Count, Gauge, [], Filesystem, 0, "File systems not asked because there are too many.";

    // The system: clock, boot, limits, processes, temperature, kernel facts, cgroup.
    FilesAllocated = "node_filefd_allocated", "system.linux.file_handle.count",
        Count, Gauge, [], System, 0, "File handles in use.";
    FilesMaximum = "node_filefd_maximum", "system.linux.file_handle.limit",
        Count, Gauge, [], System, 0, "File handles there can be.";
    Processes = "node_processes_pids", "system.process.count",
        Count, Gauge, [], System, 0, "Processes there are.";
    ProcessesMax = "node_processes_max_processes", "",
        Count, Gauge, [], System, 0, "Process numbers there can be.";
    Threads = "node_processes_threads", "",
        Count, Gauge, [], System, 0, "Threads of all processes.";
    ThreadsMax = "node_processes_max_threads", "",
        Count, Gauge, [], System, 0, "Threads there can be.";
    BootTime = "node_boot_time_seconds", "",
        Seconds, Gauge, [], System, 0, "When the host booted, seconds since the Unix epoch.";
    Uptime = "hostwell_uptime_seconds", "system.uptime",
        Seconds, Gauge, [], System, 2, "Seconds since the host booted, sleep included.";
    Time = "node_time_seconds", "",
        Seconds, Gauge, [], System, 3, "The host's clock, seconds since the Unix epoch.";
    TimexSync = "node_timex_sync_status", "",
        Flag, Gauge, [], System, 0, "1 when the clock follows a reference.";
    TimexOffset = "node_timex_offset_seconds", "",
        Seconds, Gauge, [], System, 9, "Difference between the clock and its reference.";
    TimexMaxError = "node_timex_maxerror_seconds", "",
        Seconds, Gauge, [], System, 6, "Largest error the clock can have.";
    TimexEstimatedError = "node_timex_estimated_error_seconds", "",
        Seconds, Gauge, [], System, 6, "Error the clock probably has.";
    TimexFrequency = "node_timex_frequency_adjustment_ratio", "",
        Ratio, Gauge, [], System, 9, "Factor by which the clock is made faster.";
    TimexLoopTimeConstant = "node_timex_loop_time_constant", "",
        Count, Gauge, [], System, 0, "Time constant of the clock's control loop.";
    TimexTick = "node_timex_tick_seconds", "",
        Seconds, Gauge, [], System, 6, "Seconds between two clock ticks.";
    TimexStatus = "node_timex_status", "",
        Count, Gauge, [], System, 0, "Status bits of the clock.";
    TimexTai = "node_timex_tai_offset_seconds", "",
        Seconds, Gauge, [], System, 0, "Seconds atomic time is ahead of the clock.";
    HwmonTemp = "node_hwmon_temp_celsius", "hw.temperature{hw.id}",
        Celsius, Gauge, ["chip", "sensor"], System, 3, "Temperature of a hardware sensor.";
    HwmonTempMax = "node_hwmon_temp_max_celsius", "hw.temperature.limit{hw.id,hw.limit_type=high.degraded}",
        Celsius, Gauge, ["chip", "sensor"], System, 3, "Temperature the sensor should stay below.";
    HwmonTempCrit = "node_hwmon_temp_crit_celsius", "hw.temperature.limit{hw.id,hw.limit_type=high.critical}",
        Celsius, Gauge, ["chip", "sensor"], System, 3, "Temperature at which the hardware is in danger.";
    ThermalZoneTemp = "node_thermal_zone_temp", "hw.temperature{hw.id}",
        Celsius, Gauge, ["type", "zone"], System, 3, "Temperature of a thermal zone.";
    UnameInfo = "node_uname_info", "host.name, os.type, os.version",
        Flag, Gauge, ["domainname", "machine", "nodename", "release", "sysname", "version"], System, 0, "1; the labels name the kernel.";
    OsInfo = "node_os_info", "os.name, os.version, os.description, os.build_id",
        Flag, Gauge, ["build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id", "version", "version_codename", "version_id"], System, 0, "1; the labels name the operating system.";
    OsVersion = "node_os_version", "",
        Count, Gauge, ["id", "id_like", "name"], System, 2, "Major and minor version of the operating system.";
    CgroupMemoryLimit = "hostwell_cgroup_memory_limit_bytes", "container.memory.limit",
        Bytes, Gauge, [], System, 0, "Memory the agent's control group may use; absent where there is no limit.";
    CgroupMemoryUsage = "hostwell_cgroup_memory_usage_bytes", "container.memory.usage",
        Bytes, Gauge, [], System, 0, "Memory the agent's control group uses, file cache included.";
    CgroupCpuLimit = "hostwell_cgroup_cpu_limit_cores", "",
        Count, Gauge, [], System, 2, "CPUs the agent's control group may use; absent where there is no limit.";
    CgroupCpuSeconds = "hostwell_cgroup_cpu_seconds_total", "container.cpu.time",
        Seconds, Counter, [], System, 6, "CPU seconds the agent's control group used.";
    CgroupCpuPeriods = "hostwell_cgroup_cpu_periods_total", "",
        Count, Counter, [], System, 0, "Periods in which the CPU limit of the agent's control group was enforced.";
    CgroupCpuThrottledPeriods = "hostwell_cgroup_cpu_throttled_periods_total", "",
        Count, Counter, [], System, 0, "Periods in which the agent's control group ran into its CPU limit.";
    CgroupCpuThrottledSeconds = "hostwell_cgroup_cpu_throttled_seconds_total", "",
        Seconds, Counter, [], System, 6, "Seconds tasks of the agent's control group were held back by its CPU limit.";
    CgroupPids = "hostwell_cgroup_pids", "",
        Count, Gauge, [], System, 0, "Tasks in the agent's control group.";
    CgroupPidsLimit = "hostwell_cgroup_pids_limit", "",
        Count, Gauge, [], System, 0, "Tasks there can be in the agent's control group; absent where there is no limit.";
    CgroupOomKills = "hostwell_cgroup_oom_kills_total", "",
        Count, Counter, [], System, 0, "Processes of the agent's control group killed because it ran out of memory.";

    // Derived by the collector: see DERIVED.
    CpuBusyRatio = "hostwell_cpu_busy_ratio", "system.cpu.utilization",
        Ratio, Gauge, [], Cpu, 6, "Part of all CPUs' time that was neither idle nor waiting for disks.";
    CpuIowaitRatio = "hostwell_cpu_iowait_ratio", "system.cpu.utilization{cpu.mode=iowait}",
        Ratio, Gauge, [], Cpu, 6, "Part of all CPUs' time that was idle while a disk request was outstanding.";
    CpuStealRatio = "hostwell_cpu_steal_ratio", "system.cpu.utilization{cpu.mode=steal}",
        Ratio, Gauge, [], Cpu, 6, "Part of all CPUs' time that the hypervisor gave to other guests.";
    MemoryUsedRatio = "hostwell_memory_used_ratio", "system.memory.utilization",
        Ratio, Gauge, [], Memory, 6, "Part of the memory that new programs cannot have without swapping.";
    NetReceiveRate = "hostwell_network_receive_bytes_per_second", "",
        BytesPerSecond, Gauge, ["device"], Network, 3, "Bytes received each second.";
    NetTransmitRate = "hostwell_network_transmit_bytes_per_second", "",
        BytesPerSecond, Gauge, ["device"], Network, 3, "Bytes sent each second.";
    NetSpeedRatio = "hostwell_network_speed_ratio", "",
        Ratio, Gauge, ["device"], Network, 6, "Part of the line's speed that is used, in the busier direction; absent where the speed is not known.";
    DiskBusyRatio = "hostwell_disk_busy_ratio", "",
        Ratio, Gauge, ["device"], Disk, 6, "Part of the time in which a block device had a request to work on.";
    FilesystemUsedRatio = "hostwell_filesystem_used_ratio", "system.filesystem.utilization{system.device,system.filesystem.type,system.filesystem.mountpoint}",
        Ratio, Gauge, ["device", "fstype", "mountpoint"], Filesystem, 6, "Part of a writable file system that is used, the way df shows it.";
    HostUp = "hostwell_up", "",
        Flag, Gauge, [], System, 0, "1 at every moment at which the host was sampled.";

    // The agent itself.
    ProbeDuration = "hostwell_probe_duration_seconds", "",
        Seconds, Gauge, ["probe"], Own, 6, "Seconds a probe took.";
    ProbeSuccess = "hostwell_probe_success", "",
        Flag, Gauge, ["probe"], Own, 0, "1 when a probe read its subject; absent where the host lacks it.";
    AgentCpuSeconds = "hostwell_agent_cpu_seconds_total", "process.cpu.time",
        Seconds, Counter, [], Own, 6, "CPU seconds the agent used.";
    AgentResidentMemory = "hostwell_agent_resident_memory_bytes", "process.memory.usage",
        Bytes, Gauge, [], Own, 0, "Memory the agent holds.";
    AgentSpoolBytes = "hostwell_agent_spool_bytes", "",
        Bytes, Gauge, [], Own, 0, "Size of the agent's spool on disk.";
    AgentSpoolOldestAge = "hostwell_agent_spool_oldest_age_seconds", "",
        Seconds, Gauge, [], Own, 3, "Age of the oldest sample that the collector has not acknowledged.";
    AgentSpoolBatches = "hostwell_agent_spool_batches", "",
        Count, Gauge, [], Own, 0, "Batches that the collector has not acknowledged.";
    AgentDroppedSamples = "hostwell_agent_dropped_samples_total", "",
        Count, Counter, ["reason"], Own, 0, "Samples dropped from the spool because a bound was reached.";
    AgentRefusedBatches = "hostwell_agent_refused_batches_total", "",
        Count, Counter, ["reason"], Own, 0, "Batches the collector refused.";
    AgentMissedTicks = "hostwell_agent_missed_ticks_total", "",
        Count, Counter, [], Own, 0, "Ticks at which the agent came too late to sample.";
    AgentReconnects = "hostwell_agent_reconnects_total", "",
        Count, Counter, [], Own, 0, "Times the agent connected to the collector again.";
}

/// What no agent samples: the collector computes it from other metrics of the same family when it
/// is asked for, and keeps its rollups like those of any gauge.
pub static DERIVED: &[Metric] = &[
    Metric::CpuBusyRatio,
    Metric::CpuIowaitRatio,
    Metric::CpuStealRatio,
    Metric::MemoryUsedRatio,
    Metric::NetReceiveRate,
    Metric::NetTransmitRate,
    Metric::NetSpeedRatio,
    Metric::DiskBusyRatio,
    Metric::FilesystemUsedRatio,
    Metric::HostUp,
];

impl Metric {
    /// Whether the collector computes it: see [`DERIVED`].
    pub fn is_derived(self) -> bool {
        DERIVED.contains(&self)
    }

    /// The metric's row.
    pub fn descriptor(self) -> &'static Descriptor {
        &CATALOGUE[self as usize]
    }

    /// The metric's name.
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// The kind as Prometheus' text format names it. A counter whose name does not end in `_total`
    /// (`node_vmstat_pgfault`) is `untyped` there, as node_exporter has it.
    pub fn prometheus_type(self) -> &'static str {
        let row = self.descriptor();
        match row.kind {
            Kind::Counter if row.name.ends_with("_total") => "counter",
            Kind::Counter => "untyped",
            Kind::Gauge => "gauge",
        }
    }

    /// The metric with this name, if the catalogue has it.
    pub fn by_name(name: &str) -> Option<Metric> {
        // A linear search over some two hundred short names; callers keep the answer per series.
        ALL.iter().copied().find(|m| m.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        let mut names = std::collections::HashSet::new();
        for row in CATALOGUE {
            assert!(names.insert(row.name), "{} twice", row.name);
            assert!(row.labels.is_sorted(), "{}: labels not sorted", row.name);
            assert!(
                row.help.ends_with('.') && row.help.len() > 10,
                "{}: help",
                row.name
            );
            assert!(
                row.decimals <= crate::column::DECIMALS_MAX,
                "{}: decimals",
                row.name
            );
            assert!(
                row.name.starts_with("node_") || row.name.starts_with("hostwell_"),
                "{}: prefix",
                row.name
            );
        }
        for (i, metric) in ALL.iter().enumerate() {
            assert_eq!(*metric as usize, i);
            assert_eq!(Metric::by_name(metric.name()), Some(*metric));
        }
    }
}
