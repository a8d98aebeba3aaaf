// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

// SIGTERM, SIGINT and SIGHUP are held back from the first moment of the process until somebody handles them.
// One that comes while the daemon starts waits and is obeyed then; unhandled, it would end the process.
namespace things {

inline void change_held_signals(int how) {
    sigset_t held;
    sigemptyset(&held);
    for (const int number : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&held, number);
    pthread_sigmask(how, &held, nullptr);
}

/// In the first thread, before there are others: they inherit it.
inline void hold_signals() {
    change_held_signals(SIG_BLOCK);
}

/// In the thread that shall take them.
inline void release_signals() {
    change_held_signals(SIG_UNBLOCK);
}

/// Whether one that asks for the end is held back.
inline bool is_stop_held() {
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

} // namespace things
