// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// JSON written as text (RFC 8259), for the control socket, the status API and `--json`. Any thread.
namespace things {

/// `text` as a JSON string with its quotes. What is not printable (printable.hpp) is escaped; bytes that are
/// not UTF-8 become U+FFFD, so that the result is always valid.
[[nodiscard]] std::string json_string(std::string_view text);

/// A whole document without white space, as another writer made it, with the same characters escaped.
[[nodiscard]] std::string printable_json(std::string_view json);

/// The shortest text that reads back as the same double, with an exponent from 1e+16 on and below 1e-4;
/// `null` if it is not finite, since JSON knows no other.
[[nodiscard]] std::string json_number(double value);

/// Builds one document. Commas and nesting are its business; that keys come only in objects is the caller's
/// (asserted). Example: json.object().key("a").value(1).key("b").array().value(true).end().end().
/// The document is one string in memory; there is no limit to it but the caller's. Writing never fails.
class JsonWriter {
public:
    JsonWriter& object();
    JsonWriter& array();
    JsonWriter& end(); ///< closes the innermost object or array
    /// Only directly inside an object, and followed by exactly one value, object or array.
    JsonWriter& key(std::string_view name);
    /// A string is escaped as by json_string(), a double written as by json_number(), integers whole up to 64
    /// bits.
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
    JsonWriter& value(bool value);
    JsonWriter& value(double value);
    JsonWriter& value(std::int64_t value);
    JsonWriter& value(std::uint64_t value);
    JsonWriter& value(int value) { return this->value(std::int64_t{value}); }
    JsonWriter& value(const Value& value);
    JsonWriter& null();
    /// Puts in a value that is JSON already.
    JsonWriter& raw(std::string_view json);

    /// key(name).value(v)
    template <typename T>
    JsonWriter& member(std::string_view name, const T& v) {
        return key(name).value(v);
    }

    /// Complete when each object() and array() had its end(). take() leaves the writer empty but does not
    /// begin it anew: use another one for the next document.
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    void separate();
    std::string text_;
    std::vector<char> closers_;
    bool needs_comma_ = false;
};

} // namespace things
