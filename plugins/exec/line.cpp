// SPDX-License-Identifier: Apache-2.0
#include "exec/line.hpp"

#include <simdjson.h>

#include <charconv>
#include <cmath>

namespace things {

namespace {

namespace dom = simdjson::dom;

constexpr std::size_t longest_text = 2000;

Line invalid(std::string text) {
    Line line;
    line.kind = Line::Kind::invalid;
    line.text = std::move(text);
    return line;
}

std::optional<LineValue> value_of(const dom::element& element) {
    switch (element.type()) {
    case dom::element_type::BOOL:
        return LineValue(bool(element));
    case dom::element_type::INT64:
        return LineValue(std::int64_t(element));
    case dom::element_type::UINT64:
        return LineValue(std::uint64_t(element));
    case dom::element_type::DOUBLE:
        return LineValue(double(element));
    case dom::element_type::STRING:
        return LineValue(std::string(std::string_view(element)));
    default:
        return std::nullopt;
    }
}

std::optional<dom::element> find(const dom::object& object, std::string_view key) {
    dom::element element;
    if (object.at_key(key).get(element) != simdjson::SUCCESS)
        return std::nullopt;
    return element;
}

std::string text_of(const dom::object& object, std::string_view key, std::string_view fallback = "") {
    std::string_view text = fallback;
    if (const auto element = find(object, key))
        if (element->is_string())
            text = std::string_view(*element);
    return std::string(text.substr(0, longest_text));
}

/// Unix time in seconds, as SenML has it.
bool get_time(const dom::object& object, Line& line) {
    const auto element = find(object, "time");
    if (!element)
        return true;
    double seconds = 0;
    if (element->get(seconds) != simdjson::SUCCESS || !(seconds > 0) || seconds > 4'102'444'800.0)
        return false;
    line.time_ms = std::llround(seconds * 1000);
    return true;
}

bool get_values(const dom::element& element, Line& line) {
    dom::object values;
    if (element.get(values) != simdjson::SUCCESS || values.size() > most_values)
        return false;
    for (const auto field : values) {
        if (field.value.is_null())
            continue; // the program has no value for it now
        auto value = value_of(field.value);
        if (!value)
            return false;
        line.values.emplace_back(std::string(field.key), std::move(*value));
    }
    return true;
}

Line parse_readings(const dom::object& object) {
    Line line;
    line.kind = Line::Kind::readings;
    if (!get_time(object, line))
        return invalid("its time is no Unix time in seconds");
    if (const auto values = find(object, "values")) {
        if (!get_values(*values, line))
            return invalid("its values are no object of numbers, texts, true or false");
        return line;
    }
    const auto element = find(object, "value");
    if (!element)
        return invalid("it has a point, but no value");
    auto value = value_of(*element);
    if (!value)
        return invalid("its value is no number, text, true or false");
    line.values.emplace_back(text_of(object, "point"), std::move(*value));
    return line;
}

Line parse_answer(const dom::object& object, const dom::element& id, Line::Kind kind) {
    Line line;
    line.kind = kind;
    if (id.get(line.id) != simdjson::SUCCESS)
        return invalid("the number of the request it answers is none");
    if (const auto value = find(object, "value"))
        line.value = value_of(*value);
    line.text = text_of(object, "text", "the program says that it failed");
    line.code = text_of(object, "code", "failed");
    return line;
}

Line parse_event(const dom::object& object, std::string_view key, Line::Kind kind) {
    Line line;
    line.kind = kind;
    line.text = text_of(object, key);
    line.code = text_of(object, "code", "program");
    line.field = text_of(object, "point");
    return line;
}

void append_text(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += digits[byte >> 4U];
            out += digits[byte & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

struct AppendValue {
    std::string& out;
    void operator()(bool value) const { out += value ? "true" : "false"; }
    void operator()(const std::string& value) const { append_text(out, value); }
    template <typename Number>
    void operator()(Number value) const {
        char buffer[32];
        const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
        out.append(buffer, end);
    }
};

} // namespace

Line parse_line(std::string_view text) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos)
        return {};
    if (text.size() > longest_line)
        return invalid("it is too long");
    dom::parser parser;
    dom::object object;
    dom::element document;
    if (const auto error = parser.parse(text.data(), text.size()).get(document); error != simdjson::SUCCESS)
        return invalid(std::string("it is no JSON: ") + simdjson::error_message(error));
    if (document.get(object) != simdjson::SUCCESS)
        return invalid("it is no JSON object");
    // The commonest kind first; problem, recovered and a note without a value may name a point, too.
    const bool is_note = find(object, "note") && !find(object, "value");
    if (find(object, "values") || (find(object, "point") && !is_note))
        if (!find(object, "problem") && !find(object, "recovered"))
            return parse_readings(object);
    if (const auto id = find(object, "done"))
        return parse_answer(object, *id, Line::Kind::done);
    if (const auto id = find(object, "failed"))
        return parse_answer(object, *id, Line::Kind::failed);
    if (find(object, "problem"))
        return parse_event(object, "problem", Line::Kind::problem);
    if (find(object, "recovered"))
        return parse_event(object, "recovered", Line::Kind::recovered);
    if (find(object, "note"))
        return parse_event(object, "note", Line::Kind::note);
    return invalid("it has none of the keys point, values, done, failed, problem, recovered, note");
}

std::string poll_line(std::uint64_t id, const std::vector<std::string>& fields) {
    std::string out = "{\"poll\":" + std::to_string(id) + ",\"points\":[";
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i > 0)
            out += ',';
        append_text(out, fields[i]);
    }
    return out += "]}\n";
}

std::string write_line(std::uint64_t id, const std::string& field, const LineValue& value) {
    std::string out = "{\"write\":" + std::to_string(id) + ",\"point\":";
    append_text(out, field);
    out += ",\"value\":";
    std::visit(AppendValue{out}, value);
    return out += "}\n";
}

void LineBuffer::feed(std::string_view bytes) {
    if (skipping_) {
        const std::size_t end = bytes.find('\n');
        if (end == std::string_view::npos)
            return;
        bytes.remove_prefix(end + 1);
        skipping_ = false;
    }
    buffer_ += bytes;
}

std::optional<std::string> LineBuffer::next() {
    while (true) {
        const std::size_t end = buffer_.find('\n', searched_);
        const bool is_overlong = std::min(end, buffer_.size()) > longest_line;
        if (is_overlong)
            ++overlong_;
        if (end == std::string::npos) {
            searched_ = buffer_.size();
            if (is_overlong) {
                skipping_ = true;
                buffer_.clear();
                searched_ = 0;
            }
            return std::nullopt;
        }
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        searched_ = 0;
        if (!is_overlong)
            return line;
    }
}

} // namespace things
