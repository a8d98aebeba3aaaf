// SPDX-License-Identifier: Apache-2.0
#include "queue/rescue.hpp"

#include "queue/archive_store.hpp"
#include "queue/bytes.hpp"

#include <fmt/format.h>

namespace things {

RescueReport rescue(const std::string&, const std::string&, const std::string&, DiskCounters&) {
    RescueReport report;
    report.text = "Nothing could be rescued";
    return report;
}

} // namespace things
