// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_settings.hpp"

#include "modbus/register_width.hpp"
#include "things_plugin.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace things {

namespace {

constexpr std::uint32_t address_space = 65536;

// Collects mistakes of one device or point.
class Complaints {
public:
    Complaints(const PluginHost& host, things_level level, std::uint32_t index)
        : host_(&host), level_(level), index_(index) {}
    void add(const char* key, const std::string& message) {
        host_->problem(level_, index_, key, message);
        ++count_;
    }
    [[nodiscard]] bool any() const { return count_ > 0; }

private:
    const PluginHost* host_;
    things_level level_;
    std::uint32_t index_;
    int count_ = 0;
};

LinkSettings read_link(const PluginSettings& settings, Complaints& wrong) {
    LinkSettings link;
    link.port = settings.text("port");
    link.host = settings.text("host");
    link.serial = !link.port.empty();
    if (link.serial == !link.host.empty())
        wrong.add(link.serial ? "host" : "",
                  "a modbus source needs either `port` (serial line) or `host` (TCP)");
    link.line.baud = static_cast<int>(settings.integer("baud", 9600));
    link.line.data_bits = static_cast<int>(settings.integer("data_bits", 8));
    link.line.stop_bits = static_cast<int>(settings.integer("stop_bits", 1));
    link.line.parity = parity_of(settings.text("parity", "none"));
    link.rs485 = settings.boolean("rs485", false);
    link.tcp_port = static_cast<std::uint16_t>(settings.integer("tcp_port", 502));
    link.rtu_framing = link.serial || settings.text("framing", "tcp") == "rtu";
    link.connect_timeout = settings.duration("connect_timeout", link.connect_timeout);
    link.connect_delay = settings.duration("connect_delay", link.connect_delay);
    for (const char* key : {"baud", "data_bits", "parity", "stop_bits", "rs485"})
        if (!link.serial && settings.has(key))
            wrong.add(key, std::string("`") + key + "` belongs to a serial line, this source has a `host`");
    for (const char* key : {"tcp_port", "framing", "connect_timeout"})
        if (link.serial && settings.has(key))
            wrong.add(key,
                      std::string("`") + key + "` belongs to a TCP connection, this source has a `port`");
    return link;
}

// A choice, so that a number and its text are the same.
std::uint8_t read_register_bytes(const PluginSettings& settings, std::uint8_t fallback) {
    if (const auto number = settings.integer("register_bytes"))
        return static_cast<std::uint8_t>(*number);
    const std::string text = settings.text("register_bytes");
    return text.size() == 1 ? static_cast<std::uint8_t>(text[0] - '0') : fallback;
}

UnitSettings read_unit(const PluginSettings& settings, UnitSettings unit) {
    unit.unit = static_cast<std::uint8_t>(settings.integer("unit_id", unit.unit));
    unit.timeout = settings.duration("timeout", unit.timeout);
    unit.retries = static_cast<int>(settings.integer("retries", unit.retries));
    unit.pause = settings.duration("pause", unit.pause);
    unit.backoff_max = settings.duration("backoff_max", unit.backoff_max);
    if (const auto gap = settings.integer("gap"))
        unit.gap = static_cast<std::uint32_t>(*gap);
    unit.max_registers = static_cast<std::uint32_t>(settings.integer("max_registers", unit.max_registers));
    unit.max_coils = static_cast<std::uint32_t>(settings.integer("max_coils", unit.max_coils));
    unit.even = settings.boolean("even_addresses", unit.even);
    unit.register_bytes = read_register_bytes(settings, unit.register_bytes);
    return unit;
}

WriteChoice read_write(const PluginSettings& settings, WriteChoice fallback) {
    std::string text = settings.text("write_function");
    if (const auto number = settings.integer("write_function"))
        text = std::to_string(*number);
    if (text.empty())
        return fallback;
    if (text == "single" || text == "5" || text == "6")
        return WriteChoice::single;
    return text == "auto" ? WriteChoice::automatic : WriteChoice::multiple;
}

// The table and address by whichever key of the group was given; false if none of them makes sense.
bool read_place(const PluginSettings& settings, ModbusPoint& point, std::uint32_t& address,
                Complaints& wrong) {
    for (const char* name : {"coil", "discrete", "holding", "input"})
        if (const auto given = settings.integer(name)) {
            point.table = *table_of(name);
            address = static_cast<std::uint32_t>(*given);
            return true;
        }
    if (const things_setting* entity = settings.find("entity")) {
        const std::string text = entity->value.kind == THINGS_TEXT ? std::string(text_of(entity->value))
                                                                   : std::to_string(entity->value.i);
        const auto place = parse_entity(text);
        if (!place) {
            wrong.add("entity", "\"" + text +
                                    "\" is not an address of a data sheet: 5 or 6 digits, 4xxxx holding, "
                                    "3xxxx input, 1xxxx discrete, 0xxxx coil, counted from 1");
            return false;
        }
        point.table = place->table;
        address = place->address;
        return true;
    }
    if (settings.has("sunspec")) {
        FoundPlace found = find_sunspec(settings.text("sunspec"));
        if (!found.place) {
            wrong.add("sunspec", found.error);
            return false;
        }
        point.format = found.place->format;
        point.sunspec = std::move(found.place);
        return true;
    }
    wrong.add("", "where is this point? Give one of coil, discrete, holding, input, entity, sunspec");
    return false;
}

void read_type(const PluginSettings& settings, const PluginSettings& device, const UnitSettings& unit,
               ModbusPoint& point, Complaints& wrong) {
    const bool bits = holds_bits(point.table);
    if (point.sunspec) {
        for (const char* key : {"type", "order", "length", "scale_from", "invalid"})
            if (settings.has(key))
                wrong.add(key, std::string("`") + key + "` follows from the SunSpec model");
    } else {
        const std::string type = settings.text("type", bits ? "bool" : "uint16");
        point.format.type = type_of(type).value_or(RegisterType::uint16);
        point.format.order =
            order_of(settings.text("order", device.text("order", "ABCD"))).value_or(RegisterOrder::abcd);
    }
    if (bits) {
        if (point.format.type != RegisterType::boolean)
            wrong.add("type",
                      std::string("a ") + table_name(point.table) + " holds one bit: its type is bool");
        for (const char* key :
             {"order", "bit", "mask", "scale", "offset", "scale_from", "length", "invalid", "register_bytes"})
            if (settings.has(key))
                wrong.add(key, std::string("`") + key + "` is for registers, a " + table_name(point.table) +
                                   " holds one bit");
    }
    const bool text = point.format.type == RegisterType::string;
    if (text && !point.sunspec) {
        if (!settings.has("length"))
            wrong.add("type", "a string needs `length`: how many registers it takes, " +
                                  (unit.register_bytes == 2 ? "two" : std::to_string(unit.register_bytes)) +
                                  " characters each");
        const auto size = settings.integer("length", 1) * unit.register_bytes;
        if (size % 2 != 0)
            wrong.add("length", "registers of one byte hold a string of an even number of characters");
        point.format.length = static_cast<std::uint16_t>((size + 1) / 2);
    } else if (settings.has("length") && !point.sunspec && !bits) {
        wrong.add("length", "`length` is for type: string");
    }
}

void read_bits(const PluginSettings& settings, ModbusPoint& point, Complaints& wrong) {
    RegisterFormat& format = point.format;
    const unsigned width = integer_bits(format.type);
    if (!settings.has("bit") && !settings.has("mask"))
        return;
    if (settings.has("bit") && settings.has("mask"))
        wrong.add("mask", "give either `bit` or `mask`");
    const char* key = settings.has("bit") ? "bit" : "mask";
    if (width == 0 || format.type == RegisterType::bcd16 || format.type == RegisterType::bcd32) {
        wrong.add(key, std::string("`") + key + "` needs an integer type, not " + type_name(format.type));
        return;
    }
    if (const auto bit = settings.integer("bit")) {
        if (*bit < 0 || *bit >= static_cast<std::int64_t>(width))
            wrong.add("bit",
                      std::string(type_name(format.type)) + " has bits 0 to " + std::to_string(width - 1));
        else
            format.bit = static_cast<std::uint8_t>(*bit);
    }
    if (const things_setting* mask = settings.find("mask")) {
        format.mask = mask->value.u;
        if (format.mask == 0 || (width < 64 && format.mask >> width != 0))
            wrong.add("mask", std::string("the mask must have a bit within the ") + std::to_string(width) +
                                  " bits of " + type_name(format.type));
    }
}

void read_scale(const PluginSettings& settings, ModbusPoint& point, std::uint32_t address,
                Complaints& wrong) {
    RegisterFormat& format = point.format;
    const bool number =
        format.type != RegisterType::string && format.type != RegisterType::boolean && !format.bit;
    for (const char* key : {"scale", "offset", "scale_from"})
        if (!number && !holds_bits(point.table) && settings.has(key))
            wrong.add(key, std::string("`") + key + "` is for numbers");
    if (const auto scale = settings.number("scale")) {
        if (!std::isfinite(*scale) || *scale == 0)
            wrong.add("scale", "a scale of 0 would make every value the same");
        else
            format.scale = decimal_of(*scale);
    }
    if (const auto offset = settings.number("offset"); offset && std::isfinite(*offset))
        format.offset = decimal_of(*offset);
    if (const auto factor = settings.integer("scale_from"); factor && !point.sunspec) {
        if (*factor == address)
            wrong.add("scale_from", "a register cannot be its own scale factor");
        point.factor = static_cast<std::uint32_t>(*factor);
    }
}

RegisterValue raw_value(const things_value& value) {
    switch (value.kind) {
    case THINGS_INT:
    case THINGS_BOOL:
        return value.i;
    case THINGS_UINT:
        return value.u;
    case THINGS_NUMBER:
        return value.d;
    default:
        return std::string(text_of(value));
    }
}

void read_invalid(const PluginSettings& settings, ModbusPoint& point, Complaints& wrong) {
    for (const things_value& item : settings.items("invalid")) {
        if (auto fitted = fit_invalid(point.format, raw_value(item)))
            point.format.invalid.push_back(*std::move(fitted));
        else
            wrong.add("invalid", std::string("a value that ") + type_name(point.format.type) + " never has");
    }
}

void check_extent(const ModbusPoint& point, const UnitSettings& unit, bool writable, Complaints& wrong) {
    const ReadLimits limits = unit.limits(point.table);
    const RegisterSpan whole = request_span(point.whole(), limits);
    if (whole.end > address_space)
        wrong.add(table_name(point.table), "the value would end past address 65535");
    if (whole.size() > limits.most)
        wrong.add(point.factor ? "scale_from" : table_name(point.table),
                  "reading it takes " + std::to_string(whole.size()) +
                      " registers in one request, the device allows " + std::to_string(limits.most));
    const unsigned bytes = holds_bits(point.table) ? 2 : unit.register_bytes;
    if (writable && point.write == WriteChoice::single && point.span.size() > 1)
        wrong.add("write_function",
                  "function 6 writes one register, this value has " + std::to_string(point.span.size()));
    else if (writable && point.write == WriteChoice::single && bytes != 2)
        wrong.add("write_function", "function 6 writes two bytes, the registers of this device hold " +
                                        std::to_string(bytes) + " (`register_bytes`): use `multiple`");
    if (writable && point.span.size() * bytes > most_written_bytes)
        wrong.add("writable", "at most " + std::to_string(most_written_bytes / bytes) +
                                  " registers can be written at once");
    if (point.is_write_only && (needs_current(point.format) || point.factor))
        wrong.add(point.factor       ? "scale_from"
                  : point.format.bit ? "bit"
                                     : "mask",
                  "what surrounds these bits, or the scale factor, would have to be read before a write, and "
                  "the point is write_only");
    if (writable && (point.table == RegisterTable::discrete || point.table == RegisterTable::input))
        wrong.add("writable",
                  std::string(point.table == RegisterTable::input ? "input registers" : "discrete inputs") +
                      " cannot be written; use a holding register or a coil");
}

std::uint32_t index_of(std::vector<UnitSettings>& units, const UnitSettings& unit) {
    const auto found = std::find(units.begin(), units.end(), unit);
    const auto index = static_cast<std::uint32_t>(found - units.begin());
    if (found == units.end())
        units.push_back(unit);
    return index;
}

bool read_point(const PluginHost& host, const things_source_config& config, std::uint32_t index,
                ModbusSettings& result) {
    const things_point& given = *config.points[index];
    const things_device& device = *config.devices[given.device];
    const PluginSettings settings(given);
    Complaints wrong(host, THINGS_POINT, index);
    ModbusPoint point;
    point.name = given.name;
    point.device = given.device;
    point.interval_ms = given.interval_ms;
    point.is_write_only = (given.writable & THINGS_WRITE_ONLY) != 0;
    point.is_momentary = (given.writable & THINGS_MOMENTARY) != 0;
    const UnitSettings unit = read_unit(settings, read_unit(PluginSettings(device), result.fallback));
    point.write = read_write(settings, read_write(PluginSettings(device), WriteChoice::automatic));
    if (result.link.serial && (unit.unit < 1 || unit.unit > 247))
        wrong.add("unit_id", "units of a serial line are 1 to 247");
    else if (result.link.rtu_framing && unit.unit == 0)
        wrong.add("unit_id", "with `framing: rtu` unit 0 is a broadcast, which nobody answers");
    std::uint32_t address = 0;
    if (read_place(settings, point, address, wrong)) {
        read_type(settings, PluginSettings(device), unit, point, wrong);
        read_bits(settings, point, wrong);
        read_scale(settings, point, address, wrong);
        read_invalid(settings, point, wrong);
        const unsigned register_bytes = holds_bits(point.table) ? 2 : unit.register_bytes;
        point.span = {address, address + registers_of(point.format, register_bytes)};
        if (register_bytes == 1 && integer_bits(point.format.type) == 8)
            point.format.order = RegisterOrder::abcd; // there is nothing to swap
        if (point.sunspec && register_bytes != 2)
            wrong.add(settings.has("register_bytes") ? "register_bytes" : "sunspec",
                      "registers of SunSpec hold two bytes, not `register_bytes: " +
                          std::to_string(register_bytes) + "`");
        if (point.sunspec) {
            address = point.sunspec->offset;
            point.span = {address, address + register_count(point.format)};
            if (point.sunspec->factor)
                point.factor = *point.sunspec->factor;
        }
        check_extent(point, unit, given.writable != 0, wrong);
    }
    point.unit = index_of(result.units, unit);
    result.points.push_back(std::move(point));
    return !wrong.any();
}

} // namespace

LineParity parity_of(std::string_view word) {
    return word == "even" ? LineParity::even : word == "odd" ? LineParity::odd : LineParity::none;
}

std::string LinkSettings::text() const {
    if (!serial)
        return host + " port " + std::to_string(tcp_port);
    return port + " at " + to_text(line);
}

ReadLimits UnitSettings::limits(RegisterTable table) const {
    if (holds_bits(table))
        return {max_coils, gap.value_or(0), false};
    const std::uint32_t most = std::min(max_registers, most_read_bytes / register_bytes);
    return {even ? std::max(most & ~1U, 2U) : most, gap.value_or(0), even, register_bytes};
}

std::chrono::milliseconds ModbusSettings::longest_step() const {
    std::chrono::milliseconds longest = link.serial ? std::chrono::milliseconds(0) : link.connect_timeout;
    for (const UnitSettings& unit : units)
        longest = std::max(longest, (unit.retries + 1) * (unit.timeout + unit.pause));
    return longest;
}

unsigned ModbusSettings::register_bytes(const ModbusPoint& point) const {
    return holds_bits(point.table) ? 2 : units[point.unit].register_bytes;
}

RegisterSpan ModbusPoint::whole() const {
    if (!factor)
        return span;
    return {std::min(span.first, *factor), std::max(span.end, *factor + 1)};
}

std::optional<ModbusSettings> read_settings(const PluginHost& host, const things_source_config& config) {
    ModbusSettings result;
    const PluginSettings settings(config);
    Complaints wrong(host, THINGS_SOURCE, 0);
    result.name = config.name;
    result.link = read_link(settings, wrong);
    result.fallback.timeout = settings.duration("timeout", result.fallback.timeout);
    result.fallback.retries = static_cast<int>(settings.integer("retries", result.fallback.retries));
    result.fallback.pause = settings.duration("pause", result.fallback.pause);
    result.fallback.register_bytes = read_register_bytes(settings, result.fallback.register_bytes);
    bool good = !wrong.any();
    for (std::uint32_t i = 0; i < config.device_count; ++i) {
        result.devices.emplace_back(config.devices[i]->name);
        // One link serves them all: it waits as long as the most delicate of them needs.
        result.link.connect_delay = std::max(
            result.link.connect_delay,
            PluginSettings(*config.devices[i]).duration("connect_delay", std::chrono::milliseconds(0)));
    }
    for (std::uint32_t i = 0; i < config.point_count; ++i)
        good = read_point(host, config, i, result) && good;
    if (!good)
        return std::nullopt;
    return result;
}

} // namespace things
