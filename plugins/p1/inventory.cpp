// SPDX-License-Identifier: Apache-2.0
#include "p1/inventory.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

namespace things {

namespace {

std::string show(const Amount& amount) {
    const auto* whole = std::get_if<std::int64_t>(&amount);
    return whole != nullptr ? fmt::format("{}", *whole) : fmt::format("{}", std::get<double>(amount));
}

std::string show_object(const MeterObject& object) {
    std::string line = fmt::format("{{\"obis\":{}", json_quoted(object.obis));
    if (!object.name.empty())
        line += fmt::format(",\"name\":{}", json_quoted(object.name));
    if (!object.medium.empty())
        line += fmt::format(",\"medium\":{}", json_quoted(object.medium));
    if (object.channel > 0)
        line += fmt::format(",\"channel\":{}", object.channel);
    if (object.kind == MeterObject::Kind::text)
        line += fmt::format(",\"text\":{}", json_quoted(object.text));
    else if (object.kind == MeterObject::Kind::list)
        line += fmt::format(",\"entries\":{}", object.entries.size());
    else
        line += fmt::format(",\"value\":{}", show(to_amount(object.number.value)));
    if (!object.number.unit.empty())
        line += fmt::format(",\"unit\":{}", json_quoted(object.number.unit));
    if (object.time)
        line += fmt::format(",\"time\":{}", json_quoted(object.time->text));
    return line + (object.is_valid ? "}" : ",\"valid\":false}");
}

} // namespace

std::vector<std::string> list_objects(const Telegram& telegram) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("{{\"meter\":{},\"version\":{},\"clock\":{}}}", json_quoted(telegram.header),
                                json_quoted(telegram.version),
                                json_quoted(telegram.meter_time ? telegram.meter_time->text : "")));
    for (const std::vector<MeterObject>* list : {&telegram.objects, &telegram.texts, &telegram.others})
        for (const MeterObject& object : *list)
            lines.push_back(show_object(object));
    for (const MbusDevice& device : telegram.mbus)
        lines.push_back(fmt::format("{{\"channel\":{},\"type\":{},\"medium\":{},\"id\":{}}}", device.channel,
                                    device.type, json_quoted(device.medium), json_quoted(device.id)));
    if (telegram.has_power_failure_log)
        lines.push_back(fmt::format("{{\"obis\":\"1-0:99.97.0\",\"name\":\"powerFailure\",\"entries\":{}}}",
                                    telegram.power_failures.size()));
    return lines;
}

} // namespace things
