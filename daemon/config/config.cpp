// SPDX-License-Identifier: Apache-2.0
#include "config/config.hpp"

#include <cstring>

namespace things {

Secret::~Secret() {
    if (!text_.empty())
        explicit_bzero(text_.data(), text_.size());
}

} // namespace things
