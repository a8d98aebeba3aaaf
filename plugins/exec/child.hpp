// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace things {

/// A program at work: its standard input, output and error are pipes of ours (non-blocking). It runs in a
/// session of its own, as the same user, without privileges to gain, with next to no environment, and dies
/// with the thread that started it. Source's thread only.
/// Beside 0, 1 and 2 no descriptor of ours is open in it; signals are at their defaults. Its environment is
/// PATH, LC_ALL and what start() is given, which may have these two as well.
class Child {
public:
    Child() = default;
    ~Child() { stop(std::chrono::milliseconds(0)); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Empty, or why the program cannot be run.
    /// Ends a program that still runs. Returns once the new one was executed or could not be: the reason then
    /// is that of exec. command[0] is searched for in the program's own PATH, not in the gateway's.
    [[nodiscard]] std::string start(const std::vector<std::string>& command,
                                    std::vector<std::pair<std::string, std::string>> environment);
    /// Closes its input, asks it and everything it started to end, and ends what is left after `patience`.
    /// SIGTERM to its process group, SIGKILL after `patience`; 0: SIGKILL at once. Blocks for `patience` and
    /// what the kernel needs.
    void stop(std::chrono::milliseconds patience);
    /// Once its output has ended: how it ended, in words. Ends it if it still runs.
    /// Gives it half a second to end by itself. Blocks a second at most. Harmless if none runs.
    [[nodiscard]] std::string bury();

    [[nodiscard]] bool is_running() const { return pid_ > 0; }
    /// The descriptors are -1 while it does not run. They stay this object's.
    [[nodiscard]] int input() const { return input_; }
    [[nodiscard]] int output() const { return output_; }
    [[nodiscard]] int messages() const { return messages_; } ///< -1 once it closed them
    void close_messages();

private:
    void close_all();
    /// True: it has ended and was reaped, `status` is that of waitpid(2).
    bool wait(std::chrono::milliseconds patience, int& status);
    pid_t pid_ = -1;
    int input_ = -1, output_ = -1, messages_ = -1;
};

} // namespace things
