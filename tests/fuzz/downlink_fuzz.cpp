// SPDX-License-Identifier: Apache-2.0
#include "routing/command_check.hpp"
#include "routing/downlink_parser.hpp"
#include "routing/history.hpp"
#include "support/routing_site.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// Any bytes as the body of an answer. Nothing may crash, and what is allowed must be within the site's
// limits.
//   cmake -B fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DTHINGS_FUZZ=ON
//   cmake --build fuzz --target downlink_fuzz
//   fuzz/tests/downlink_fuzz -dict=tests/fuzz/senml.dict -max_total_time=60
namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

void require_allowed(const things::CheckedRecord& record) {
    require(record.config != nullptr && record.config->writable.has_value());
    if (const auto* number = std::get_if<double>(&record.value))
        require(std::isfinite(*number));
    if (record.point == "setpoint") {
        const auto* whole = std::get_if<std::int64_t>(&record.value);
        const auto* number = std::get_if<double>(&record.value);
        require((whole != nullptr && *whole >= 5 && *whole <= 30) ||
                (number != nullptr && *number >= 5 && *number <= 30));
    } else if (record.point == "pump") {
        require(std::holds_alternative<bool>(record.value));
    } else if (record.point == "mode") {
        require(record.value == things::Value(std::int64_t{0}) ||
                record.value == things::Value(std::int64_t{1}));
    } else {
        require(record.point == "note" && std::holds_alternative<std::string>(record.value));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const things::Config site = things::make_site();
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto parsed = things::parse_downlink(body, things::boiler_base);
    require(parsed.reason.empty() || !parsed.downlink);
    require(parsed.reason.size() < 400);
    if (!parsed.downlink)
        return 0;
    require(!parsed.downlink->records.empty() &&
            parsed.downlink->records.size() <= things::downlink_max_records);
    things::CheckContext context;
    context.now_wall_ms = 1'700'000'000'000;
    const auto checked = things::check(*parsed.downlink, site.devices.front(), context);
    for (const auto& record : checked.records)
        if (record.reason.empty())
            require_allowed(record);
    const auto commands = things::make_commands(checked, {});
    require(commands.size() == checked.records.size());
    return 0;
}
