// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <functional>
#include <string>

// Who this process should be. The queue takes files of another user for planted ones and puts them aside, so
// that one `sudo ... queue list` as root would cost the service what waits in it.
namespace things::cli {

/// The name of the user to whom the queue's file belongs; empty if that is this process's own user, or there
/// is none yet.
[[nodiscard]] std::string foreign_queue_owner(const Config& config);

/// Before a subcommand opens the queue of a daemon that does not run: root becomes the user to whom it, or
/// its folder, belongs, with that user's groups, for good. False if this user may not open it; that was
/// printed to stderr. Before any thread is started; what only root may read has been read by then.
[[nodiscard]] bool become_queue_owner(const Config& config);

/// Before a byte of a bus is read, or a program of somebody else's runs: root becomes the service's user
/// where there is one, else nobody, for good and without capabilities. Where nobody may not open what the
/// `wanted` sources name (a port of root's), it stays root, without capabilities. What only root may read has
/// been read by then; nothing is written any more.
void give_up_root(const Config& config, const std::function<bool(const SourceConfig&)>& wanted);

} // namespace things::cli
