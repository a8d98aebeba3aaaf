// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/problem.hpp"

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A YAML file as a tree with places. document.cpp is the only user of yaml-cpp; everybody else sees Node.
// Size, depth and number of nodes are bounded, so that no input can exhaust stack or memory: a file that a
// running gateway refuses at a reload must not cost it more than its service may have.
namespace things {

struct Unseen;

/// Of all files of one load together: a hundred thousand points in YAML.
constexpr std::size_t most_values = 500'000;
constexpr const char* too_many_values =
    "more than 500000 values in all files together; list devices in a CSV file "
    "and their points in profiles, or run a second gateway";

/// One value of a YAML file. Text is kept as written: whether `502` is a number is decided by the key.
/// Merge keys (<<), tags, duplicate keys and keys that are no text are problems; anchors and aliases are
/// resolved, within bounds.
struct Node {
    enum class Kind : std::uint8_t { null, scalar, list, map };
    Kind kind = Kind::null;
    bool quoted = false; ///< a scalar in quotes or a block: text, never a number or a boolean
    int line = 1, column = 1;
    const std::string* file = nullptr; ///< lives as long as the Documents it came from
    std::string text;
    std::vector<Node> children; ///< of a list its items; of a map key, value, key, value ...

    [[nodiscard]] Place place() const { return {file ? *file : std::string(), line, column}; }
    [[nodiscard]] bool is_map() const { return kind == Kind::map; }
    [[nodiscard]] bool is_list() const { return kind == Kind::list; }
    [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
    [[nodiscard]] bool is_null() const { return kind == Kind::null; }
    /// The value of a key of a map; null if there is none.
    [[nodiscard]] const Node* find(std::string_view key) const;
    /// "a list", "a mapping", "nothing", "text"; for messages.
    [[nodiscard]] const char* kind_name() const;
};

/// Parses text; problems go to `problems`. None if there is no tree to look at.
/// Bounds: 32 levels, 40,000 brackets, `most_values` values of which `values` are there already, 100,000 of
/// them through aliases. `file` must outlive the tree.
std::optional<Node> parse_yaml(const std::string& text, const std::string* file, std::size_t& values,
                               Problems& problems);

/// Whether it is UTF-8 without control characters; if not, the first place where it is not becomes a problem.
bool is_text(const std::string& text, const std::string& file, Problems& problems);

/// What to do about an unseen character. The text around it is not shown: it may be a secret.
std::string unseen_problem(const Unseen& unseen);

/// Reads a regular file of at most 8 MiB. On failure the reason, fit for a message.
struct FileText {
    std::string text;
    std::string reason; ///< empty: read
};
/// Never waits on a pipe or a device in its place: only regular files are read.
FileText read_text_file(const std::filesystem::path& path);

/// The files of one load. Nodes stay where they are until it goes.
/// All that is read in one load stays in memory until it ends.
class Documents {
public:
    explicit Documents(Problems& problems) : problems_(problems) {}
    /// Reads and parses; null after a problem. `place`: where the file was asked for.
    const Node* load(const std::filesystem::path& path, const Place& place);
    /// Reads text without parsing it, for CSV. At most 16 MiB in all.
    std::optional<FileText> read(const std::filesystem::path& path, const Place& place);
    /// Counts what did not come from YAML; false, and a problem, when there are more than `most_values`.
    bool count(std::size_t values, const Place& place);
    /// A name that lives as long as this object.
    const std::string* keep(const std::string& file);
    /// A node that lives as long as this object.
    Node* keep(Node node);

private:
    Problems& problems_;
    std::deque<std::string> files_;
    std::deque<Node> nodes_;
    std::size_t values_ = 0, bytes_ = 0;
};

} // namespace things
