//! What the whole host does: time stolen by the hypervisor, time that somebody waited for a CPU.

use super::kernel_file::KernelFile;

/// CPU time of all CPUs, in ticks of 10 ms: a second of one CPU resolves 1 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    pub(crate) steal: u64,
    /// Nobody used it: idle, or waiting for the disk.
    pub(crate) unused: u64,
    pub(crate) total: u64,
}

impl CpuTicks {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            steal: self.steal + other.steal,
            unused: self.unused + other.unused,
            total: self.total + other.total,
        }
    }

    /// Share that anything used; `None` of a host whose CPU time stands still.
    pub(crate) fn busy_share(self) -> Option<f64> {
        (self.total > 0).then(|| 1.0 - self.unused.min(self.total) as f64 / self.total as f64)
    }
}

/// `/proc/stat` and `/proc/pressure/cpu`, as far as they exist.
pub(crate) struct System {
    stat: Option<KernelFile>,
    pressure: Option<KernelFile>,
    last_ticks: Option<CpuTicks>,
    last_pressure_ns: Option<u64>,
}

impl System {
    pub(crate) fn start() -> Self {
        let mut system = Self {
            stat: KernelFile::open("/proc/stat"),
            pressure: KernelFile::open("/proc/pressure/cpu"),
            last_ticks: None,
            last_pressure_ns: None,
        };
        system.sample();
        system
    }

    /// Ticks, and ns of pressure, since the last sample.
    pub(crate) fn sample(&mut self) -> (Option<CpuTicks>, Option<u64>) {
        let ticks = self.stat.as_ref().and_then(|file| file.read(cpu_ticks));
        let pressure_ns = self.pressure.as_ref().and_then(|file| file.read(pressure_ns));
        let since = |now: CpuTicks, then: CpuTicks| CpuTicks {
            // They can go back a little: idle time is estimated.
            steal: now.steal.saturating_sub(then.steal),
            unused: now.unused.saturating_sub(then.unused),
            total: now.total.saturating_sub(then.total),
        };
        let passed = (
            ticks.zip(self.last_ticks).map(|(now, then)| since(now, then)),
            pressure_ns.zip(self.last_pressure_ns).map(|(now, then)| now.saturating_sub(then)),
        );
        (self.last_ticks, self.last_pressure_ns) = (ticks, pressure_ns);
        passed
    }
}

/// The `cpu` line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guest time, which follows, is in
/// user and nice already (proc_stat(5)).
fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let mut words = text.lines().next()?.split_ascii_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let (mut steal, mut unused, mut total) = (0, 0u64, 0u64);
    for field in 0..8 {
        steal = words.next()?.parse().ok()?;
        total = total.checked_add(steal)?;
        if let 3 | 4 = field {
            unused += steal;
        }
    }
    Some(CpuTicks { steal, unused, total })
}

/// The time, in all, in which at least one task of the host waited for a CPU: `some ... total=<us>`
/// (kernel documentation, accounting/psi).
fn pressure_ns(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total_us = some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?;
    total_us.parse::<u64>().ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_cpu_line() {
        let stat = "cpu  983971 0 154537 1096205 10772 0 10552 2440 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n";
        let ticks = CpuTicks {
            steal: 2440,
            unused: 1_096_205 + 10_772,
            total: 983_971 + 154_537 + 1_096_205 + 10_772 + 10_552 + 2440,
        };
        assert_eq!(cpu_ticks(stat), Some(ticks));
        // Linux before 2.6.11 knew no steal time.
        assert_eq!(cpu_ticks("cpu  1 2 3 4 5 6 7\n"), None);
        assert_eq!(cpu_ticks("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(cpu_ticks("cpu 1 2 3 4 5 6 7 -8\n"), None);
        assert_eq!(cpu_ticks(&format!("cpu {max} {max} 0 0 0 0 0 0\n", max = u64::MAX)), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn reads_the_pressure() {
        let pressure = "some avg10=0.35 avg60=0.33 avg300=0.97 total=2766172550\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressure_ns(pressure), Some(2_766_172_550_000));
        assert_eq!(pressure_ns("full avg10=0.00 total=5\n"), None);
        assert_eq!(pressure_ns("some avg10=0.00 total=\n"), None);
        assert_eq!(pressure_ns(&format!("some total={}\n", u64::MAX)), None);
    }

    proptest! {
        /// No content makes a reader panic.
        #[test]
        fn survives_anything(text in "(cpu|some|full|total=|[0-9]{0,22}|[ \n]|\\PC){0,40}") {
            let _ = (cpu_ticks(&text), pressure_ns(&text));
        }
    }
}
