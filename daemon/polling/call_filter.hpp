// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace things {

/// What a plugin's process may still do to processes, beside running its own.
struct CallRights {
    bool signals =
        false;           ///< to any process of its user; where the kernel scopes signals that is its own only
    bool groups = false; ///< may leave the process group in which the gateway started it
};

/// Leaves this process, and all it will start, the system calls that files, memory, threads, programs of its
/// own, IP, CAN and Bluetooth take, and refuses every other one: limits, priorities and signals of other
/// processes, tracing, keys, bpf, io_uring, namespaces, the modes and owners of files, Unix sockets (the
/// gateway's control socket, D-Bus, the service manager), foreign architectures. For good; needs
/// no-new-privileges. False where the kernel or the machine's architecture does not offer it.
/// A refused call fails: with EPERM, or with ENOSYS where a library then has another way; nothing is killed.
[[nodiscard]] bool filter_calls(const CallRights& rights);

} // namespace things
