// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

// The keys of the configuration, one table a section: what the loader accepts, what hints name, what the JSON
// Schema and etc/gateway.yaml are held against. A plugin's own keys come from its description instead.
namespace things {

/// How the text of a scalar is taken; see scalar.hpp for the forms.
/// Ranges of numbers, durations and sizes are checked with the table; everything else by who reads the
/// section.
enum class KeyType : std::uint8_t {
    boolean,
    integer,
    number,
    text,
    duration, ///< minimum and maximum in milliseconds
    size,     ///< minimum and maximum in bytes
    choice,
    path,    ///< relative to the file that names it
    value,   ///< any scalar
    list,    ///< of anything; looked at by its own reader
    section, ///< a mapping, or another form that its own reader knows
};

/// All texts live as long as the process.
struct Key {
    std::string_view name;
    KeyType type = KeyType::text;
    std::string_view fallback;       ///< the default as it would be written; empty: none
    std::string_view help;           ///< one sentence
    double minimum = 0, maximum = 0; ///< both 0: no range
    std::string_view choices{};      ///< separated by spaces
    bool required = false;
    bool nullable = false; ///< `null` stands for the default
};

using Table = std::span<const Key>;

/// One section for documentation: its path as in `things.retry`, its table, what it is for.
struct SectionKeys {
    std::string_view path;
    Table table;
    std::string_view help;
};

/// All tables are constant: the spans are good for ever, from any thread.
Table main_keys();
Table include_keys(); ///< of an included file
Table things_keys();
Table retry_keys();
Table batch_keys();
Table queue_keys();
Table time_keys();
Table web_keys();
Table web_tls_keys();
Table control_keys();
Table log_keys();
Table source_keys();
Table device_keys();
Table fleet_keys(); ///< of `{csv: FILE}`
Table profile_keys();
Table profile_device_keys(); ///< what a profile sets for its devices, beside the plugin's device keys
Table point_keys();
Table report_keys();
Table writable_keys();
Table revert_keys();
Table secret_keys();

/// All sections, in the order in which a person would read them.
std::vector<SectionKeys> all_sections();

/// The words of `choices`.
/// One space between two; the words live as long as the text.
std::vector<std::string_view> split_words(std::string_view words);

} // namespace things
