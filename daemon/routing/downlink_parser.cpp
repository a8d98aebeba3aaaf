// SPDX-License-Identifier: Apache-2.0
#include "routing/downlink_parser.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

// An example, with everything a platform may do (RFC 8428 section 4, protocol.md section 4.3):
//   [{"bn":"urn:dev:DVNUUID:6f1c...:","bt":1.7e9},{"n":"pump","vb":true},{"n":"setpoint","u":"Cel","v":21.5}]
// The DOM interface of simdjson is used because 3.0 (Debian 12) and 3.12 (Debian 13) have it alike, and
// because it validates the whole text, including what we would not look at.
namespace things {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::size_t max_depth = 16;
constexpr std::size_t max_labels = 64;
constexpr std::size_t max_name = 512;
// RFC 9100: 10 + 2^4 says that units may be secondary ones. They must equal the point's unit anyway.
constexpr std::int64_t bver_plain = 10, bver_secondary_units = 26;

using Number = std::variant<std::int64_t, std::uint64_t, double>;

/// What one record says itself, before base fields.
struct Labels {
    std::optional<std::string_view> bn, bu, n, u, vs;
    std::optional<double> bt, t;
    std::optional<Number> bv, v, bver;
    std::optional<bool> vb;
    bool has_vd = false, has_sum = false;
};

/// The base fields in force.
struct Base {
    std::string name, unit;
    std::optional<double> time;
    std::optional<Number> value;
    std::optional<std::int64_t> version;
};

std::string shortened(std::string_view text) {
    constexpr std::size_t most = 60;
    return text.size() <= most ? std::string(text) : std::string(text.substr(0, most)) + "...";
}

double as_double(const Number& number) {
    return std::visit([](auto n) { return static_cast<double>(n); }, number);
}

std::optional<Number> number_of(element value) {
    switch (value.type()) {
    case element_type::INT64:
        return Number(value.get_int64().value_unsafe());
    case element_type::UINT64:
        return Number(value.get_uint64().value_unsafe());
    case element_type::DOUBLE:
        return Number(value.get_double().value_unsafe());
    default:
        return std::nullopt;
    }
}

bool read_number(element value, std::optional<Number>& into) {
    into = number_of(value);
    return into.has_value();
}

bool read_number(element value, std::optional<double>& into) {
    const auto number = number_of(value);
    if (number)
        into = as_double(*number);
    return number.has_value();
}

bool read_text(element value, std::optional<std::string_view>& into) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS)
        return false;
    into = text;
    return true;
}

bool is_text(element value) {
    return value.type() == element_type::STRING;
}

/// Reads one label into `labels`. Returns what its type should have been, or "" if all is well.
std::string_view read_label(std::string_view label, element value, Labels& labels) {
    constexpr std::string_view number = "a number", text = "a text", ok;
    if (label == "bn")
        return read_text(value, labels.bn) ? ok : text;
    if (label == "bu")
        return read_text(value, labels.bu) ? ok : text;
    if (label == "n")
        return read_text(value, labels.n) ? ok : text;
    if (label == "u")
        return read_text(value, labels.u) ? ok : text;
    if (label == "vs")
        return read_text(value, labels.vs) ? ok : text;
    if (label == "bt")
        return read_number(value, labels.bt) ? ok : number;
    if (label == "t")
        return read_number(value, labels.t) ? ok : number;
    if (label == "bv")
        return read_number(value, labels.bv) ? ok : number;
    if (label == "v")
        return read_number(value, labels.v) ? ok : number;
    if (label == "bver")
        return read_number(value, labels.bver) ? ok : number;
    if (label == "vb") {
        bool flag = false;
        if (value.get(flag) != simdjson::SUCCESS)
            return "true or false";
        labels.vb = flag;
        return ok;
    }
    if (label == "vd") {
        labels.has_vd = true;
        return is_text(value) ? ok : text;
    }
    if (label == "s") {
        labels.has_sum = true;
        return number_of(value) ? ok : number;
    }
    if (label == "bs" || label == "ut")
        return number_of(value) ? ok : number;
    return ok;
}

/// Reads the labels of one record. Returns why it cannot be used, or "".
std::string read_labels(simdjson::dom::object object, Labels& labels) {
    // JSON parsers differ in which of two equal keys they take: neither is safe to carry out.
    std::array<std::string_view, max_labels> seen;
    std::size_t count = 0;
    for (const auto field : object) {
        for (std::size_t i = 0; i < count; ++i)
            if (seen[i] == field.key)
                return fmt::format("'{}' is there twice", shortened(field.key));
        if (count == max_labels)
            return fmt::format("more than {} labels", max_labels);
        seen[count++] = field.key;
        // A label that must be understood could change what the record asks for.
        if (!field.key.empty() && field.key.back() == '_')
            return fmt::format("'{}' must be understood (RFC 8428 4.4) and is not", shortened(field.key));
        const auto wanted = read_label(field.key, field.value, labels);
        if (!wanted.empty())
            return fmt::format("'{}' is not {}", field.key, wanted);
    }
    return {};
}

std::string apply_version(const Number& number, Base& base) {
    const double version = as_double(number);
    if (version < 1 || version > 1e9 || version != std::floor(version))
        return "'bver' is not a positive integer";
    const auto whole = static_cast<std::int64_t>(version);
    if (whole > bver_plain && whole != bver_secondary_units)
        return fmt::format("its version {} is not understood", whole);
    if (base.version && *base.version != whole)
        return "'bver' is not the same in all records";
    base.version = whole;
    return {};
}

/// Base fields hold for their record and all later ones (RFC 8428 4.1).
std::string apply_base(const Labels& labels, Base& base) {
    if ((labels.bn && labels.bn->size() > max_name) || (labels.n && labels.n->size() > max_name))
        return "a name is absurdly long";
    if (labels.bn)
        base.name = *labels.bn;
    if (labels.bu)
        base.unit = *labels.bu;
    if (labels.bt)
        base.time = labels.bt;
    if (labels.bv)
        base.value = labels.bv;
    return labels.bver ? apply_version(*labels.bver, base) : std::string();
}

Value value_of(const Number& number) {
    return std::visit([](auto n) { return Value(n); }, number);
}

/// bv + v, exact where both are integers (RFC 8428 4.5.4). None if the sum leaves a double's range.
std::optional<Value> sum(const Number& a, const Number& b) {
    const auto* x = std::get_if<std::int64_t>(&a);
    const auto* y = std::get_if<std::int64_t>(&b);
    std::int64_t exact = 0;
    if (x != nullptr && y != nullptr && !__builtin_add_overflow(*x, *y, &exact))
        return Value(exact);
    const double inexact = as_double(a) + as_double(b);
    if (!std::isfinite(inexact))
        return std::nullopt;
    return Value(inexact);
}

/// Resolves value and time of a record that names something.
std::string resolve(const Labels& labels, const Base& base, DownlinkRecord& record) {
    const int values = int{labels.v.has_value()} + int{labels.vb.has_value()} + int{labels.vs.has_value()} +
                       int{labels.has_vd};
    if (values > 1)
        return "more than one value";
    if (labels.vb)
        record.value = *labels.vb;
    else if (labels.vs)
        record.value = std::string(*labels.vs);
    else if (labels.v && base.value) {
        record.value = sum(*base.value, *labels.v);
        if (!record.value)
            return "'bv' and 'v' together are too large";
    } else if (labels.v || (base.value && values == 0))
        record.value = value_of(labels.v ? *labels.v : *base.value);
    else if (!labels.has_vd && !labels.has_sum)
        return "no value";
    record.unit = labels.u ? std::string(*labels.u) : base.unit;
    if (labels.t || base.time) {
        record.time_s = base.time.value_or(0) + labels.t.value_or(0);
        if (!std::isfinite(*record.time_s))
            return "'bt' and 't' together are too large";
    }
    return {};
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool starts_with_any_case(std::string_view text, std::string_view start) {
    if (text.size() < start.size())
        return false;
    for (std::size_t i = 0; i < start.size(); ++i)
        if (lower(text[i]) != lower(start[i]))
            return false;
    return true;
}

/// The part of a full name behind the device's base name; none if it is another's.
std::optional<std::string_view> own_name(std::string_view full, std::string_view device, bool has_base) {
    if (starts_with_any_case(full, device))
        return full.substr(device.size());
    // Without a base name the record is about the device that was asked for.
    if (!has_base && !starts_with_any_case(full, "urn:"))
        return full;
    return std::nullopt;
}

/// Whether a record does nothing but set base fields.
bool is_base_only(const Labels& labels) {
    return !labels.n && !labels.v && !labels.vb && !labels.vs && !labels.has_vd && !labels.has_sum &&
           !labels.t;
}

/// Reads one record into `parsed`. Returns why the pack cannot be used, or "".
std::string read_record(simdjson::dom::object object, std::string_view device, Base& base,
                        ParsedDownlink& parsed) {
    Labels labels;
    auto reason = read_labels(object, labels);
    if (reason.empty())
        reason = apply_base(labels, base);
    if (!reason.empty() || is_base_only(labels))
        return reason;
    DownlinkRecord record;
    reason = resolve(labels, base, record);
    if (!reason.empty())
        return reason;
    const std::string full = base.name + std::string(labels.n.value_or(""));
    const auto name = own_name(full, device, !base.name.empty());
    if (!name) {
        if (parsed.foreign++ == 0)
            parsed.foreign_name = shortened(full);
        return {};
    }
    if (name->empty())
        return "a value without a name";
    if (parsed.downlink->records.size() == downlink_max_records)
        return fmt::format("more than {} values", downlink_max_records);
    record.name = *name;
    parsed.downlink->records.push_back(std::move(record));
    return {};
}

ParsedDownlink refused(std::string reason) {
    ParsedDownlink parsed;
    parsed.reason = std::move(reason);
    return parsed;
}

ParsedDownlink read_records(simdjson::dom::array records, std::string_view device) {
    ParsedDownlink parsed;
    parsed.downlink.emplace();
    Base base;
    std::size_t number = 0;
    for (const element item : records) {
        ++number;
        simdjson::dom::object object;
        if (item.get(object) != simdjson::SUCCESS)
            return refused(fmt::format("record {} is not an object", number));
        const auto reason = read_record(object, device, base, parsed);
        if (!reason.empty())
            return refused(fmt::format("record {}: {}", number, reason));
    }
    if (parsed.downlink->records.empty())
        parsed.downlink.reset();
    return parsed;
}

std::string_view without_white_space(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.substr(0, byte_order_mark.size()) == byte_order_mark)
        text.remove_prefix(byte_order_mark.size());
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

} // namespace

ParsedDownlink parse_downlink(std::string_view body, std::string_view base_name) {
    if (body.size() > downlink_max_bytes)
        return refused(fmt::format("{} bytes are more than the {} a downlink may have", body.size(),
                                   downlink_max_bytes));
    const auto text = without_white_space(body);
    if (text.empty())
        return {};
    if (text.front() != '[')
        return refused("not a SenML pack: it does not begin with '['");
    simdjson::dom::parser parser;
    if (parser.allocate(text.size(), max_depth) != simdjson::SUCCESS)
        return refused("no memory to read it");
    const simdjson::padded_string padded(text);
    element root;
    if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS)
        return refused(fmt::format("not valid JSON: {}", simdjson::error_message(error)));
    simdjson::dom::array records;
    if (root.get(records) != simdjson::SUCCESS)
        return refused("not a SenML pack: not an array");
    return read_records(records, base_name);
}

} // namespace things
