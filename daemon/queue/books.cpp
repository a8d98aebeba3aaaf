// SPDX-License-Identifier: Apache-2.0
#include "queue/books.hpp"

namespace things {

std::string_view name_of(DropReason reason) {
    constexpr std::string_view names[drop_reasons] = {"full",    "age",     "memory",    "unsynced",
                                                      "damaged", "removed", "dead_full", "flood"};
    return names[static_cast<std::size_t>(reason)];
}

} // namespace things
