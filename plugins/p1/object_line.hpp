// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// One line of a telegram (P1, and the data lines of IEC 62056-21 mode C): a code and values in parentheses.
//   1-0:1.8.1(004321.090*kWh)     code 1-0:1.8.1, one field
//   0-1:24.2.1(260701090000S)(02977.031*m3)
// Pure; looks at the text it is given and never beyond.
namespace things {

/// An OBIS code in one spelling: A-B:C.D.E, group F cut off, ':' for '.' put right, no leading zeros; codes
/// of mode C without A-B get 1-0:. Nothing if it is none. `is_billing`: a value of a past billing period
/// (*01, &02).
struct ObisCode {
    std::string text;
    bool is_billing = false;
};
/// Groups are one to three letters or digits (mode C has C.1.0 and F.F); at most 32 characters in all.
[[nodiscard]] std::optional<ObisCode> parse_obis(std::string_view text);

/// `fields` are views: the line must outlive them.
struct ObjectLine {
    ObisCode code;
    std::vector<std::string_view> fields; ///< what stands in the parentheses; views into the line
};

/// A line without its CR LF. Nothing if it cannot be read: that costs this line only.
[[nodiscard]] std::optional<ObjectLine> parse_object_line(std::string_view line);
/// The fields of "(a)(b)", or nothing if the text is not made of them.
[[nodiscard]] std::optional<std::vector<std::string_view>> parse_fields(std::string_view text);

} // namespace things
