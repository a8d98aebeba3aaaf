// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"
#include "status/snapshot.hpp"

namespace things {

/// A command as it is shown.
CommandView view_of(const Command& command);

} // namespace things
