// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/frame_reader.hpp"

#include <optional>
#include <string>
#include <string_view>

// Texts of the configuration that become bytes on the wire. Pure.
//   \r \n \t \0 \\ \xNN        control characters
//   {value} {value:05.1f}      the value to write; d f x X with width, precision, leading zeros and sign
//   {checksum}                 over everything before it, as the source's checksum says
namespace things {

/// Bytes of a text with escapes. Nothing, with the reason in `why`, if an escape is wrong.
/// An unknown letter behind the backslash is a mistake, not that letter.
[[nodiscard]] std::optional<std::string> unescape(std::string_view text, std::string& why);
/// Bytes as a technician can read them: printable ones as they are, others as \xNN; cut after `most`.
[[nodiscard]] std::string escaped(std::string_view bytes, std::size_t most = 120);
/// "AA C0 2C"; cut after `most`.
[[nodiscard]] std::string in_hex(std::string_view bytes, std::size_t most = 48);
/// Whether most of it are printable characters and line ends.
[[nodiscard]] bool is_text(std::string_view bytes);
/// Text in quotes, escaped; else in hex.
[[nodiscard]] std::string shown_bytes(std::string_view bytes);

/// A value as it is to be sent: a number, or text that has been checked.
/// `text` counts if is_text, else `number`, which is already in the device's own scale.
struct SentValue {
    double number = 0;
    bool is_text = false;
    std::string text;
};

/// A request or a write with its places, parsed once.
/// Invariant: at most one {value} and one {checksum}, the value before the checksum. Other braces stand for
/// themselves, as in JSON.
class Template {
public:
    /// `has_value`: whether {value} may stand in it (and, for a write, must).
    /// Widths up to 32, precision up to 9 (of f alone). Nothing, with the reason in `why`, for anything else.
    static std::optional<Template> parse(std::string_view text, bool has_value, std::string& why);

    /// The bytes. `shown` receives the value as it stands in them, so that the caller knows what was rounded
    /// away. Nothing if the value cannot be written so (a fraction into {value:d} is rounded, text into a
    /// number is not).
    /// Text needs {value} without a format. Whole numbers (d, x, X) below 9e15; x and X not below 0. NaN and
    /// infinity are refused.
    [[nodiscard]] std::optional<std::string> fill(const SentValue& value, const ChecksumRules& rules,
                                                  std::string& shown) const;
    /// The number that a text made by fill stands for; nothing if it was text.
    [[nodiscard]] std::optional<double> number_in(std::string_view shown) const;
    /// Without a value.
    [[nodiscard]] std::string fill(const ChecksumRules& rules) const;

private:
    /// precision -1: the shortest form, or six places with f.
    struct Format {
        bool is_zero_padded = false, has_sign = false;
        int width = 0, precision = -1;
        char kind = 0; ///< d f x X; 0: the shortest form
    };
    static bool parse_format(std::string_view text, Format& format);
    [[nodiscard]] std::optional<std::string> show(const SentValue& value) const;
    [[nodiscard]] std::string join(std::string_view shown, const ChecksumRules& rules) const;

    std::string before_, after_, end_; // around the value; behind the checksum
    Format format_;
    bool has_value_ = false, has_checksum_ = false;
};

} // namespace things
