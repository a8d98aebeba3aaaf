// SPDX-License-Identifier: Apache-2.0
#include "config/config.hpp"

#include <array>
#include <cstring>

#include <unistd.h>

namespace things {

Secret::~Secret() {
    if (!text_.empty())
        explicit_bzero(text_.data(), text_.size());
}

std::string name_of(const Config& config) {
    if (!config.name.empty())
        return config.name;
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "gateway";
}

} // namespace things
