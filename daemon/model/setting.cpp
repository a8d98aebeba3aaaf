// SPDX-License-Identifier: Apache-2.0
#include "model/setting.hpp"

#include <fmt/format.h>

namespace things {

std::string Place::text() const {
    return fmt::format("{}:{}:{}", file, line, column);
}

} // namespace things
