// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace things {

/// A child that runs `plugin-host` (polling/plugin_host), and the descriptors that lead to it. Owned by one
/// source's thread, which also must be the one that starts it: the child dies with that thread.
class HostProcess {
public:
    HostProcess() = default;
    ~HostProcess() { kill(); }
    HostProcess(const HostProcess&) = delete;
    HostProcess& operator=(const HostProcess&) = delete;

    /// Empty, or why it could not be started. `wake_fd` is handed down and stays the caller's. The child gets
    /// no other descriptor and next to no environment.
    /// Ends one that ran before. The child is the leader of a process group of its own.
    [[nodiscard]] std::string start(const SourceOptions& options, const std::filesystem::path& plugin,
                                    int wake_fd);
    /// Ends it and everything it started, if it runs. What it had sent can still be read.
    /// Blocks until the kernel has collected the child: at once, as it is killed.
    void end();
    /// The same, and closes the descriptors.
    void kill();
    /// After its socket was closed by the other end: waits up to `patience` for the child's end, then kills
    /// it. Says in plain words how it ended.
    /// Looks every 5 ms. What it had started is killed in any case.
    [[nodiscard]] std::string bury(Milliseconds patience);

    [[nodiscard]] bool is_running() const { return pid_ > 0; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] int socket() const { return socket_; }     ///< non-blocking
    [[nodiscard]] int messages() const { return messages_; } ///< its standard error, non-blocking; -1: closed
    /// After its end was read; may be called twice.
    void close_messages();

private:
    void close_all();
    pid_t pid_ = -1;
    int socket_ = -1, messages_ = -1;
};

/// "ended by SIGSEGV (segmentation fault)", "ended by itself with exit code 3". Pure.
[[nodiscard]] std::string describe_end(int wait_status);

} // namespace things
