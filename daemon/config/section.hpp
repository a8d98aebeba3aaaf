// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/document.hpp"
#include "config/keys.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// One mapping of the configuration held against its table: unknown, missing and ill-typed keys become
// problems, good ones become values. A point may be made of two mappings (profile and device).
namespace things {

/// Key and value of a mapping.
using Entry = std::pair<const Node*, const Node*>;
using Entries = std::vector<Entry>;

/// The entries of a map node whose keys are scalars, first of each name.
/// Points into `map`, which must outlive them. Merge keys are left out: they are reported elsewhere.
Entries entries_of(const Node& map);
/// `over` on top of `under`: entries of the same name are replaced.
Entries merge(const Entries& under, const Entries& over);

/// Keys beside the table's: those of a plugin.
/// `names` is asked only when a hint is made.
struct OtherKeys {
    std::function<bool(const std::string&)> is_known;             ///< empty: none is
    std::function<std::vector<std::string_view>()> names;         ///< that a hint may suggest
    std::function<std::string(const std::string&)> where_it_goes; ///< "in the source", or empty
};

/// Refers to the nodes of `entries` and to `problems`; both outlive it.
class Section {
public:
    /// `what` names the section in messages, as in "unknown key ... in WHAT". `place` is where missing keys
    /// are reported.
    Section(std::string what, Place place, const Entries& entries, Table table, Problems& problems);

    /// Reports missing required keys, and keys that neither the table nor `others` knows.
    /// Once, before or after reading. A required key that is there with another name is hinted at first.
    void check_names(const OtherKeys& others = {});

    /// The value of a key, if it is there and not null; null is reported where the key does not allow it.
    [[nodiscard]] const Node* node(std::string_view name) const;
    /// Whether the key is there, with whatever value.
    /// Null included.
    [[nodiscard]] bool has(std::string_view name) const;
    /// Where a key's value stands; the section itself if it is not there.
    [[nodiscard]] Place place(std::string_view name = {}) const;

    // Each leaves `out` alone if the key is missing, null or wrong; wrong values are reported.
    void read(std::string_view name, bool& out);
    void read(std::string_view name, int& out);
    void read(std::string_view name, std::int64_t& out); ///< integers and sizes
    void read(std::string_view name, double& out);
    void read(std::string_view name, std::optional<double>& out);
    void read(std::string_view name, std::string& out);
    void read(std::string_view name, std::filesystem::path& out);
    void read(std::string_view name, std::chrono::milliseconds& out);
    /// For choices: the index among the choices of the table.
    /// None if it is missing or none of them; the latter is reported.
    [[nodiscard]] std::optional<std::size_t> choice(std::string_view name);

private:
    struct Field {
        const Key* key = nullptr;
        const Node* value = nullptr;
    };
    const Field* find(std::string_view name) const;
    const Field* scalar(std::string_view name);
    void report_null(const Entry& entry, const Key& key);

    std::string what_;
    Place place_;
    Table table_;
    Problems& problems_;
    std::vector<Field> fields_;
    Entries others_;
};

/// Text of a value for a message, shortened, in quotes.
/// Cut at 60 bytes, between characters. What could be a device's secret is described, not shown.
std::string quote(const std::string& text);

/// A path relative to the directory of `file`.
/// Absolute ones stay as they are.
std::filesystem::path beside(const std::string& file, const std::string& path);

/// A number or duration that is out of range, in words; empty if it is inside.
std::string range_text(double value, double minimum, double maximum, KeyType type);

/// What a key of this type wants, in words: "a duration such as 500ms, 10s, 5m, 2h or 7d".
std::string expectation(KeyType type, std::string_view choices);

/// `; did you mean "10s"?` for a duration without a unit, and the like; empty if nothing is near.
std::string value_hint(KeyType type, const std::string& text);

} // namespace things
