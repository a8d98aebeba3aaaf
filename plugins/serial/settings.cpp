// SPDX-License-Identifier: Apache-2.0
#include "serial/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>
#include <utility>

// Makes options and points of settings that the host has already checked for type and range.
namespace things {

namespace {

template <class Enum>
struct Word {
    std::string_view word;
    Enum value;
};

constexpr Word<FrameKind> frame_kinds[] = {{"line", FrameKind::line},
                                           {"delimiter", FrameKind::delimiter},
                                           {"fixed", FrameKind::fixed},
                                           {"length", FrameKind::length},
                                           {"silence", FrameKind::silence}};
constexpr Word<ChecksumKind> checksums[] = {{"none", ChecksumKind::none},
                                            {"nmea", ChecksumKind::nmea},
                                            {"nmea_optional", ChecksumKind::nmea_optional},
                                            {"xor", ChecksumKind::xor8},
                                            {"sum8", ChecksumKind::sum8},
                                            {"sum8_zero", ChecksumKind::sum8_zero},
                                            {"sum16", ChecksumKind::sum16},
                                            {"crc16_modbus", ChecksumKind::crc16_modbus},
                                            {"crc16_arc", ChecksumKind::crc16_arc},
                                            {"crc16_x25", ChecksumKind::crc16_x25},
                                            {"crc_ccitt", ChecksumKind::crc_ccitt},
                                            {"crc_xmodem", ChecksumKind::crc_xmodem},
                                            {"crc_kermit", ChecksumKind::crc_kermit},
                                            {"sdi12", ChecksumKind::sdi12}};
constexpr Word<ValueType> types[] = {
    {"number", ValueType::number},   {"string", ValueType::string},  {"bool", ValueType::boolean},
    {"degrees", ValueType::degrees}, {"int8", ValueType::int8},      {"uint8", ValueType::uint8},
    {"int16", ValueType::int16},     {"uint16", ValueType::uint16},  {"int32", ValueType::int32},
    {"uint32", ValueType::uint32},   {"int64", ValueType::int64},    {"uint64", ValueType::uint64},
    {"float32", ValueType::float32}, {"float64", ValueType::float64}};
constexpr Word<ByteOrder> orders[] = {{"ABCD", ByteOrder::abcd},
                                      {"CDAB", ByteOrder::cdab},
                                      {"BADC", ByteOrder::badc},
                                      {"DCBA", ByteOrder::dcba}};

template <class Enum, std::size_t n>
Enum find_word(const Word<Enum> (&words)[n], const std::string& word, Enum fallback) {
    const auto* found = std::find_if(std::begin(words), std::end(words),
                                     [&word](const Word<Enum>& entry) { return entry.word == word; });
    return found == std::end(words) ? fallback : found->value;
}

std::string show(const things_value& value) {
    if (value.kind == THINGS_TEXT)
        return std::string(text_of(value));
    std::optional<double> number = number_of(value);
    return number ? fmt::format("{}", *number) : std::string();
}

/// The settings of one level, with mistakes told at its place.
class LevelReader {
public:
    LevelReader(const PluginHost& host, bool& is_good, things_level level, std::uint32_t index,
                PluginSettings settings)
        : host_(host), is_good_(is_good), level_(level), index_(index), settings_(settings) {}

    const PluginSettings& settings() const { return settings_; }
    void complain(const char* key, const std::string& message) const {
        host_.problem(level_, index_, key, message);
        is_good_ = false;
    }
    std::size_t count(const char* key, std::int64_t fallback) const {
        return static_cast<std::size_t>(std::max<std::int64_t>(settings_.integer(key, fallback), 0));
    }
    std::string bytes(const char* key, const char* fallback = "") const {
        std::string why;
        std::optional<std::string> result = unescape(settings_.text(key, fallback), why);
        if (!result)
            complain(key, why);
        return result.value_or("");
    }
    std::optional<Pattern> pattern(const char* key) const {
        if (!settings_.has(key))
            return std::nullopt;
        std::string why;
        std::optional<Pattern> result = Pattern::parse(settings_.text(key), why);
        if (!result)
            complain(key, fmt::format("the regular expression is wrong: {}", why));
        return result;
    }
    /// A request with its checksum in it.
    std::string request(const char* key, const ChecksumRules& rules) const {
        std::string why;
        std::optional<Template> parsed = Template::parse(settings_.text(key), false, why);
        if (!parsed)
            complain(key, why);
        return parsed ? parsed->fill(rules) : "";
    }

private:
    const PluginHost& host_;
    bool& is_good_;
    things_level level_;
    std::uint32_t index_;
    PluginSettings settings_;
};

void read_link(const LevelReader& reader, SerialOptions& options) {
    const PluginSettings& settings = reader.settings();
    options.port = settings.text("port");
    options.host = settings.text("host");
    options.tcp_port = static_cast<std::uint16_t>(settings.integer("tcp_port", 2000));
    options.line.baud = static_cast<int>(settings.integer("baud", 9600));
    options.line.data_bits = static_cast<int>(settings.integer("data_bits", 8));
    options.line.stop_bits = static_cast<int>(settings.integer("stop_bits", 1));
    std::string parity = settings.text("parity", "none");
    options.line.parity = parity == "even"  ? LineParity::even
                          : parity == "odd" ? LineParity::odd
                                            : LineParity::none;
    options.silence = settings.duration("silence", options.silence);
    options.timeout = settings.duration("timeout", options.timeout);
    options.pause = settings.duration("pause", options.pause);
    options.alarm_after = settings.duration("alarm_after", options.alarm_after);
    options.retries = static_cast<int>(settings.integer("retries", options.retries));
    options.on_open = reader.bytes("on_open");
    options.guard = reader.pattern("guard");
    // Not a group of the key table: groups are of point keys.
    if (options.port.empty() == options.host.empty())
        reader.complain("port", "give either port or host");
    if (!is_known_baud(options.line.baud))
        reader.complain("baud",
                        fmt::format("{} baud is not a speed that the system knows", options.line.baud));
}

void read_checksum(const LevelReader& reader, FrameRules& frame) {
    const PluginSettings& settings = reader.settings();
    ChecksumRules& rules = frame.checksum;
    rules.kind = find_word(checksums, settings.text("checksum", "none"), ChecksumKind::none);
    std::string form = settings.text("checksum_form");
    rules.is_hex = form.empty() ? frame.kind == FrameKind::line : form == "hex";
    std::string order = settings.text("checksum_order");
    rules.is_low_first = order.empty() ? rules.kind == ChecksumKind::crc16_modbus : order == "low_first";
    rules.from = reader.count("checksum_from", 0);
    rules.gap = reader.count("checksum_gap", 0);
    rules.tail = reader.count("checksum_tail", 0);
    rules.is_negated = settings.boolean("checksum_negate", false);
    std::size_t size = checksum_size(rules);
    if (frame.trailing > 0 && size + rules.tail > frame.trailing)
        reader.complain("trailing",
                        fmt::format("this checksum and its tail take {} bytes", size + rules.tail));
    if (frame.kind == FrameKind::fixed && size > 0 && frame.length > 0 &&
        rules.from + rules.gap + size + rules.tail > frame.length)
        reader.complain("checksum",
                        fmt::format("with checksum_from, _gap and _tail it needs {} bytes; the frame "
                                    "has {}",
                                    rules.from + rules.gap + size + rules.tail, frame.length));
    if (size == 0)
        for (const char* key : {"checksum_tail", "checksum_negate"})
            if (settings.has(key))
                reader.complain(key, "is for a checksum that stands at the end of the frame");
    if (frame.kind == FrameKind::line && size > 0 && !rules.is_hex && rules.kind != ChecksumKind::sdi12)
        reader.complain("checksum_form",
                        "a checksum in bytes can look like a line end; use frame: delimiter with "
                        "trailing, or another frame");
}

void read_frame(const LevelReader& reader, FrameRules& frame) {
    const PluginSettings& settings = reader.settings();
    frame.kind = find_word(frame_kinds, settings.text("frame", "line"), FrameKind::line);
    frame.start = reader.bytes("start");
    frame.delimiter = reader.bytes("delimiter");
    frame.trailing = reader.count("trailing", 0);
    frame.length = reader.count("length", 0);
    frame.length_at = reader.count("length_at", 0);
    frame.length_size = reader.count("length_size", 1);
    frame.is_length_low_first = settings.text("length_order") == "low_first";
    frame.length_add = reader.count("length_add", 0);
    frame.max_length = reader.count("max_length", 1024);
    if (frame.kind == FrameKind::delimiter && frame.delimiter.empty())
        reader.complain("delimiter", "frame: delimiter needs the bytes that a frame ends with");
    if (frame.kind != FrameKind::delimiter && (!frame.delimiter.empty() || frame.trailing > 0))
        reader.complain(frame.delimiter.empty() ? "trailing" : "delimiter", "is for frame: delimiter alone");
    if (frame.kind == FrameKind::fixed && frame.length == 0)
        reader.complain("length", "frame: fixed needs the number of bytes of a frame");
    if (frame.kind == FrameKind::fixed && frame.length >= frame.max_length)
        frame.max_length = frame.length + 1;
    if (frame.kind == FrameKind::length && !settings.has("length_at"))
        reader.complain("length_at", "frame: length needs the place where the length stands");
    read_checksum(reader, frame);
}

void read_value(const LevelReader& reader, PointRules& rules) {
    const PluginSettings& settings = reader.settings();
    rules.match = reader.pattern("match");
    if (settings.has("column"))
        rules.column = reader.count("column", 0);
    if (settings.has("byte"))
        rules.byte = reader.count("byte", 0);
    rules.pointer = settings.text("json");
    rules.guard = reader.pattern("guard");
    rules.type = find_word(types, settings.text("type"), rules.byte ? ValueType::uint8 : ValueType::number);
    rules.is_hex = settings.text("digits") == "hex";
    rules.order = find_word(orders, settings.text("order", "ABCD"), ByteOrder::abcd);
    rules.length = reader.count("length", 0);
    if (settings.has("bit"))
        rules.bit = static_cast<unsigned>(reader.count("bit", 0));
    rules.scale = settings.number("scale", 1);
    rules.offset = settings.number("offset", 0);
    for (const things_value& item : settings.items("invalid"))
        rules.invalid.push_back(show(item));
}

void check_value(const LevelReader& reader, const PointRules& rules) {
    if (!rules.match && !rules.column && !rules.byte && rules.pointer.empty() &&
        !reader.settings().has("match"))
        reader.complain("match", "give one of match, column, json and byte: where the value is");
    if (rules.match && rules.match->captures() > 1)
        reader.complain("match", "has more than one capture; make the others (?:...)");
    if (!rules.pointer.empty() && !is_json_pointer(rules.pointer))
        reader.complain("json", "a JSON pointer begins with / and looks like /sensors/0/temperature");
    bool is_binary_type = byte_size(rules.type) > 0;
    if (is_binary_type && !rules.byte && !rules.is_hex)
        reader.complain("type", "this type is for byte and for digits: hex; use number, string or bool");
    if (rules.is_hex && (rules.byte || (!is_binary_type && rules.type != ValueType::number)))
        reader.complain("digits", "hex is for numbers that match, column or json finds in text");
    if (rules.byte && (rules.type == ValueType::number || rules.type == ValueType::degrees))
        reader.complain("type", "bytes need a type such as uint16 or float32");
    if (rules.byte && rules.type == ValueType::string && rules.length == 0)
        reader.complain("length", "a string of bytes needs its length");
    bool is_real = rules.type == ValueType::float32 || rules.type == ValueType::float64;
    std::size_t bits = std::max<std::size_t>(byte_size(rules.type), 1) * 8;
    if (rules.bit && ((!rules.byte && !(rules.is_hex && is_binary_type)) || is_real ||
                      rules.type == ValueType::string || *rules.bit >= bits))
        reader.complain("bit", "there is no such bit in a value of this type");
    if (rules.scale == 0)
        reader.complain("scale", "must not be 0");
}

void read_write(const LevelReader& reader, const things_point& point, SerialPoint& result) {
    const PluginSettings& settings = reader.settings();
    result.expect = reader.pattern("expect");
    result.refuse = reader.pattern("refuse");
    if (settings.has("write")) {
        std::string why;
        result.write = Template::parse(settings.text("write"), true, why);
        if (!result.write)
            reader.complain("write", why);
    } else if (point.writable != 0) {
        reader.complain("write", "the point is writable, but write does not say what to send");
    }
}

} // namespace

std::string SerialOptions::where() const {
    return port.empty() ? fmt::format("{}:{}", host, tcp_port) : port;
}

SerialOptions read_serial_options(const PluginHost& host, const things_source_config& config, bool& is_good) {
    LevelReader reader(host, is_good, THINGS_SOURCE, 0, PluginSettings(config));
    SerialOptions options;
    read_link(reader, options);
    read_frame(reader, options.frame);
    return options;
}

std::vector<SerialPoint> read_serial_points(const PluginHost& host, const things_source_config& config,
                                            const SerialOptions& options, bool& is_good) {
    std::vector<SerialPoint> points;
    LevelReader source(host, is_good, THINGS_SOURCE, 0, PluginSettings(config));
    std::string separator = source.bytes("separator", ",");
    if (separator.empty())
        source.complain("separator", "must not be empty");
    std::string common = source.request("request", options.frame.checksum);
    for (std::uint32_t i = 0; i < config.point_count; ++i) {
        const things_point& point = *config.points[i];
        LevelReader reader(host, is_good, THINGS_POINT, i, PluginSettings(point));
        SerialPoint result;
        result.name = point.name;
        result.device = point.device;
        result.interval_ms = point.interval_ms;
        result.rules.separator = separator;
        result.rules.has_decimal_comma = source.settings().boolean("decimal_comma", false);
        read_value(reader, result.rules);
        check_value(reader, result.rules);
        read_write(reader, point, result);
        result.request = common;
        if (point.device < config.device_count) {
            LevelReader device(host, is_good, THINGS_DEVICE, point.device,
                               PluginSettings(*config.devices[point.device]));
            if (device.settings().has("request"))
                result.request = device.request("request", options.frame.checksum);
        }
        if (reader.settings().has("request"))
            result.request = reader.request("request", options.frame.checksum);
        points.push_back(std::move(result));
    }
    return points;
}

} // namespace things
