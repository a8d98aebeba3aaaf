// SPDX-License-Identifier: Apache-2.0
#include "modbus/sunspec_models.hpp"

#include "modbus/sunspec_table.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace things {

namespace {

constexpr unsigned most_modules = 100;

RegisterFormat format_of(const SunspecRow& row) {
    RegisterFormat format;
    format.type = row.type;
    if (row.type == RegisterType::string) {
        format.length = row.length;
        format.invalid = {std::string()};
    } else if (row.invalid) {
        format.invalid = {*row.invalid};
    }
    return format;
}

std::string known_models() {
    std::string text;
    for (const SunspecModels& models : sunspec_models) {
        text += (text.empty() ? "" : ", ") + std::to_string(models.first);
        if (models.last != models.first)
            text += "-" + std::to_string(models.last);
    }
    return text;
}

std::optional<unsigned> number_of(std::string_view text) {
    unsigned value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && stop == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

} // namespace

FoundPlace find_sunspec(std::string_view name) {
    const std::string quoted = "\"" + std::string(name) + "\"";
    const std::size_t dot = name.find('.');
    const auto model = dot == std::string_view::npos ? std::nullopt : number_of(name.substr(0, dot));
    if (!model)
        return {std::nullopt, quoted + " is not MODEL.POINT, such as 103.W"};
    const auto* const models =
        std::find_if(std::begin(sunspec_models), std::end(sunspec_models),
                     [&](const SunspecModels& m) { return *model >= m.first && *model <= m.last; });
    std::string_view point = name.substr(dot + 1);
    unsigned module = 0;
    if (const std::size_t second = point.find('.'); second != std::string_view::npos) {
        module = number_of(point.substr(0, second)).value_or(0);
        if (models == std::end(sunspec_models) || models->block.empty() || module < 1 ||
            module > most_modules)
            return {std::nullopt, quoted + ": only model 160 has modules, as in 160.1.DCW"};
        point = point.substr(second + 1);
    }
    if (models == std::end(sunspec_models))
        return {std::nullopt,
                "SunSpec model " + std::to_string(*model) + " is not known; known are " + known_models()};
    const std::span<const SunspecRow> rows = module > 0 ? models->block : models->rows;
    const auto row =
        std::find_if(rows.begin(), rows.end(), [point](const SunspecRow& r) { return point == r.name; });
    if (row == rows.end()) {
        std::string names;
        for (const SunspecRow& r : rows)
            names += (names.empty() ? "" : " ") + std::string(r.name);
        return {std::nullopt, "SunSpec model " + std::to_string(*model) + " has no point \"" +
                                  std::string(point) + "\"; it has: " + names};
    }
    SunspecPlace place;
    place.model = static_cast<std::uint16_t>(*model);
    place.offset =
        static_cast<std::uint16_t>(row->offset + (module > 0 ? (module - 1) * models->stride : 0U));
    if (row->factor != 0)
        place.factor = row->factor;
    place.format = format_of(*row);
    return {place, ""};
}

} // namespace things
