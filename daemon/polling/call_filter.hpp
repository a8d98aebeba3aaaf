// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace things {

/// Takes from this process, and from all it will start, the calls that reach other programs past the files it
/// may see: Unix sockets (the gateway's control socket, D-Bus, the service manager), and io_uring and foreign
/// architectures, which would go around that. Pairs of connected sockets stay. For good; needs
/// no-new-privileges. False where the kernel or the machine's architecture does not offer it.
/// A refused call fails with EACCES, as if permissions had forbidden it; nothing is killed.
[[nodiscard]] bool filter_calls();

} // namespace things
