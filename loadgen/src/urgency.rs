//! Threads that must run when they are due: the pacer and the writers, whose lateness would be taken for latency.
//!
//! They use next to no CPU time, so letting them go first takes nothing from the target on the same host; waiting
//! behind its threads, on 2 shared cores with other load, cost up to 9 ms of send lag (p99) instead of 0.7 ms.

use nix::sys::prctl;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// How late the kernel may wake a thread to save a timer interrupt (prctl(2), PR_SET_TIMERSLACK). Its default of
/// 50 us was also the median lateness that it added here.
const TIMER_SLACK_NS: u64 = 1;
/// The least of the real-time priorities: before every ordinary thread, after everything else (sched(7)).
const FIFO_PRIORITY: u8 = 1;

/// The calling thread's sleeps end when they should.
pub fn wake_on_time() {
    // Refused only by a sandbox: then it wakes later by the default slack, far below any limit.
    let _ = prctl::set_timerslack(TIMER_SLACK_NS);
}

/// The calling thread goes before every ordinary thread of the host (SCHED_FIFO), where the process may ask for that
/// (root, or CAP_SYS_NICE); elsewhere it stays what it is, and send lag tells what that costs. True if it
/// does.
pub fn go_first() -> bool {
    let Ok(priority) = FIFO_PRIORITY.try_into() else { return false };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy)
        .is_ok()
}
