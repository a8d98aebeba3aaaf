// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"
#include "things_plugin.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

// Our values in the words of the plugin contract, and back. Pure; any thread.
namespace things {

/// A source's configuration as C structs. Points into `work`, which must stay as it is meanwhile.
/// Deques, because what points to their elements must not move.
class PluginConfig {
public:
    explicit PluginConfig(const SourceWork& work);
    PluginConfig(const PluginConfig&) = delete;
    PluginConfig& operator=(const PluginConfig&) = delete;
    /// Valid as long as this object and its `work`.
    [[nodiscard]] const things_source_config& get() const { return config_; }

private:
    std::deque<std::vector<things_value>> items_;
    std::deque<things_setting> settings_;
    std::deque<std::vector<const things_setting*>> lists_;
    std::deque<things_device> devices_;
    std::deque<things_point> points_;
    std::vector<const things_device*> device_list_;
    std::vector<const things_point*> point_list_;
    things_source_config config_{};

    const things_setting* const* add(const std::vector<Setting>& settings);
};

/// Settings alone, for `discover`. Points into `settings`.
class SettingList {
public:
    explicit SettingList(const std::vector<Setting>& settings);
    [[nodiscard]] const things_setting* const* get() const { return list_.data(); }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(list_.size()); }

private:
    std::deque<std::vector<things_value>> items_;
    std::deque<things_setting> settings_;
    std::vector<const things_setting*> list_;
};

/// Text is not copied: it lives as long as `value`.
[[nodiscard]] things_value to_plugin(const Value& value);

/// Nothing, with the reason in `why`, if a plugin's value is none: unknown kind, not finite, not UTF-8, too
/// long.
/// The text is copied.
[[nodiscard]] std::optional<Value> from_plugin(const things_value& value, std::string& why);
/// The same check for a value that is ours already (it came over a socket).
[[nodiscard]] bool is_sound(const Value& value, std::string& why);

/// Of enum things_writable.
[[nodiscard]] std::uint32_t writable_flags(const PointConfig& point);
/// The inverse, as far as a source's thread and its plugin look at it.
void set_writable(PointConfig& point, std::uint32_t flags);

/// A foreign text, at most `most` bytes of it, made valid: what is not printable (printable.hpp) becomes '?'.
/// Null gives an empty text; reads no further than the NUL or `most`.
[[nodiscard]] std::string clean_text(const char* text, std::size_t most);
[[nodiscard]] bool is_utf8(std::string_view text);

constexpr std::size_t longest_value = 4096; ///< bytes of a text value

} // namespace things
