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
class Child {
public:
    Child() = default;
    ~Child() { stop(std::chrono::milliseconds(0)); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Empty, or why the program cannot be run.
    [[nodiscard]] std::string start(const std::vector<std::string>& command,
                                    const std::vector<std::pair<std::string, std::string>>& environment);
    /// Closes its input, asks it and everything it started to end, and ends what is left after `patience`.
    void stop(std::chrono::milliseconds patience);
    /// Once its output has ended: how it ended, in words. Ends it if it still runs.
    [[nodiscard]] std::string bury();

    [[nodiscard]] bool is_running() const { return pid_ > 0; }
    [[nodiscard]] int input() const { return input_; }
    [[nodiscard]] int output() const { return output_; }
    [[nodiscard]] int messages() const { return messages_; } ///< -1 once it closed them
    void close_messages();

private:
    void close_all();
    bool wait(std::chrono::milliseconds patience, int& status);
    pid_t pid_ = -1;
    int input_ = -1, output_ = -1, messages_ = -1;
};

} // namespace things
