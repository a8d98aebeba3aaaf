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

    /// What runs in it, and what that may see (polling/host_limits.hpp).
    struct Tenant {
        std::filesystem::path plugin;
        std::vector<std::filesystem::path> named, folders;
        bool runs_programs = false;
    };
    /// Empty, or why it could not be started. The child gets two descriptors and next to no environment.
    /// Ends one that ran before. The child is the leader of a process group of its own.
    [[nodiscard]] std::string start(const SourceOptions& options, const Tenant& tenant);
    /// Makes the child's wake descriptor readable, or takes that back. Never blocks, whatever the child did
    /// to its end: it is one of two sockets, and calls with a flag of their own.
    void interrupt(bool on);
    [[nodiscard]] bool is_interrupted() const { return is_interrupted_; }
    /// Ends it and everything it started, if it runs, also what left its process group. What it had sent can
    /// still be read.
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
    int wake_[2] = {-1, -1}; ///< written here; read by the child, and here to take it back
    bool is_interrupted_ = false;
};

/// "ended by SIGSEGV (segmentation fault)", "ended by itself with exit code 3". Pure.
[[nodiscard]] std::string describe_end(int wait_status);

} // namespace things
