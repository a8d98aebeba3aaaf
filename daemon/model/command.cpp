// SPDX-License-Identifier: Apache-2.0
#include "model/command.hpp"

namespace things {

std::string_view name_of(CommandState state) {
    switch (state) {
    case CommandState::waiting:
        return "waiting";
    case CommandState::begun:
        return "begun";
    case CommandState::done:
        return "done";
    case CommandState::failed:
        return "failed";
    case CommandState::expired:
        return "expired";
    case CommandState::refused:
        return "refused";
    case CommandState::repeated:
        return "repeated";
    }
    return "";
}

} // namespace things
