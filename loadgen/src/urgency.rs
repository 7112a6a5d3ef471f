//! Threads that must run when they are due: the pacer and the writers, whose lateness would be taken for latency.
//!
//! They use next to no CPU time, so letting them go first takes nothing from the target on the same host; waiting
//! behind its threads, on 2 shared cores with other load, cost up to 9 ms of send lag (p99) instead of 0.7 ms.
//!
//! And threads that nothing waits for: what shows a run takes its time from nobody who measures.

use nix::sys::prctl;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_current_thread_priority,
    set_thread_priority_and_policy, thread_native_id,
};

/// How late the kernel may wake a thread to save a timer interrupt (prctl(2), PR_SET_TIMERSLACK). Its default of
/// 50 us was also the median lateness that it added here.
const TIMER_SLACK_NS: u64 = 1;
/// The least of the real-time priorities: before every ordinary thread, after everything else (sched(7)).
const FIFO_PRIORITY: u8 = 1;
/// From 0 to 99 for nice values from 19 to -20: this one is 10, which leaves it a tenth of a busy CPU.
const VIEW_PRIORITY: u8 = 22;

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

/// The calling thread, and those that it starts, leave a busy CPU to the others.
pub fn go_last() {
    let Ok(priority) = VIEW_PRIORITY.try_into() else { return };
    // Anybody may lower a priority; where a sandbox refuses, the thread stays what it is.
    let _ = set_current_thread_priority(ThreadPriority::Crossplatform(priority));
}

#[cfg(test)]
mod tests {
    use thread_priority::{NormalThreadSchedulePolicy, thread_schedule_policy};

    use super::*;

    #[test]
    fn a_thread_that_goes_last_has_a_nice_value_of_its_own() {
        let nice = || {
            let process = procfs::process::Process::myself().unwrap();
            process.task_from_tid(nix::unistd::gettid().as_raw()).unwrap().stat().unwrap().nice
        };
        let before = nice();
        let after = std::thread::spawn(move || {
            go_last();
            nice()
        });
        // Who is idle anyway cannot go further back.
        let is_idle =
            thread_schedule_policy() == Ok(ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        let expected = if is_idle { before } else { 10 };
        assert_eq!((after.join().unwrap(), nice()), (expected, before));
    }
}
