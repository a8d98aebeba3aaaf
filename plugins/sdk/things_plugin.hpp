// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

// The C contract for plugins written in C++: typed settings, conversion of values, the host's calls with C++
// types, and an adapter that turns a class into the contract's functions and stops every exception.
// Header only, so that a plugin needs nothing but this folder. Use everything here on the source's thread.
namespace things {

// ---- values -----------------------------------------------------------------------------------------------

inline things_value make_value(bool value) {
    things_value result{};
    result.kind = THINGS_BOOL;
    result.i = value ? 1 : 0;
    return result;
}
inline things_value make_value(std::int64_t value) {
    things_value result{};
    result.kind = THINGS_INT;
    result.i = value;
    return result;
}
inline things_value make_value(std::uint64_t value) {
    things_value result{};
    result.kind = THINGS_UINT;
    result.u = value;
    return result;
}
inline things_value make_value(double value) {
    things_value result{};
    result.kind = THINGS_NUMBER;
    result.d = value;
    return result;
}
/// The text must outlive the value and be followed by a NUL.
inline things_value make_value(const std::string& value) {
    things_value result{};
    result.kind = THINGS_TEXT;
    result.length = static_cast<std::uint32_t>(value.size());
    result.text = value.c_str();
    return result;
}
/// A literal would become a bool.
inline things_value make_value(const char*) = delete;

/// Any selection of the kinds above; std::monostate gives an empty value. The text must outlive the result.
template <class... Kinds>
things_value make_value(const std::variant<Kinds...>& value) {
    return std::visit(
        [](const auto& kind) {
            if constexpr (std::is_same_v<std::decay_t<decltype(kind)>, std::monostate>)
                return things_value{};
            else
                return make_value(kind);
        },
        value);
}

/// Any value, with its own copy of a text; std::monostate if there is none.
using PluginValue = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// A copy that may be kept; a default-constructed one if the value is empty or of an unknown kind.
template <class Owned = PluginValue>
Owned copy_of(const things_value& value) {
    switch (value.kind) {
    case THINGS_BOOL:
        return value.i != 0;
    case THINGS_INT:
        return value.i;
    case THINGS_UINT:
        return value.u;
    case THINGS_NUMBER:
        return value.d;
    case THINGS_TEXT:
        return std::string(value.text, value.length);
    default:
        return Owned{};
    }
}

/// Empty if the value is not a text.
inline std::string_view text_of(const things_value& value) {
    return value.kind == THINGS_TEXT ? std::string_view(value.text, value.length) : std::string_view();
}

/// Nothing for text and empty values. Integers beyond 2^53 are rounded.
inline std::optional<double> number_of(const things_value& value) {
    switch (value.kind) {
    case THINGS_BOOL:
    case THINGS_INT:
        return static_cast<double>(value.i);
    case THINGS_UINT:
        return static_cast<double>(value.u);
    case THINGS_NUMBER:
        return value.d;
    default:
        return std::nullopt;
    }
}

// ---- settings ---------------------------------------------------------------------------------------------

/// What was configured at one level. Refers to memory that is valid only during the call: copy what you keep.
/// A key of another type counts as not given, because the host has already checked types against the table.
/// Each look-up searches the whole list.
class PluginSettings {
public:
    PluginSettings(const things_setting* const* settings, std::uint32_t count)
        : settings_(settings), count_(count) {}
    explicit PluginSettings(const things_source_config& config)
        : PluginSettings(config.settings, config.setting_count) {}
    explicit PluginSettings(const things_device& device)
        : PluginSettings(device.settings, device.setting_count) {}
    explicit PluginSettings(const things_point& point)
        : PluginSettings(point.settings, point.setting_count) {}

    /// Null if the key was not given.
    [[nodiscard]] const things_setting* find(std::string_view key) const {
        for (std::uint32_t i = 0; i < count_; ++i)
            if (key == settings_[i]->key)
                return settings_[i];
        return nullptr;
    }
    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

    /// Nothing if the number exceeds INT64_MAX.
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const {
        const things_setting* setting = find(key);
        if (!setting)
            return std::nullopt;
        if (setting->value.kind == THINGS_UINT && setting->value.u > INT64_MAX)
            return std::nullopt;
        if (setting->value.kind == THINGS_INT || setting->value.kind == THINGS_UINT)
            return setting->value.i;
        return std::nullopt;
    }
    [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback) const {
        return integer(key).value_or(fallback);
    }
    /// Accepts 5 as well as 5.0.
    [[nodiscard]] std::optional<double> number(std::string_view key) const {
        const things_setting* setting = find(key);
        return setting ? number_of(setting->value) : std::nullopt;
    }
    [[nodiscard]] double number(std::string_view key, double fallback) const {
        return number(key).value_or(fallback);
    }
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const {
        const things_setting* setting = find(key);
        return setting && setting->value.kind == THINGS_BOOL ? setting->value.i != 0 : fallback;
    }
    [[nodiscard]] std::string text(std::string_view key, std::string_view fallback = "") const {
        const things_setting* setting = find(key);
        return std::string(setting && setting->value.kind == THINGS_TEXT ? text_of(setting->value)
                                                                         : fallback);
    }
    [[nodiscard]] std::optional<std::chrono::milliseconds> duration(std::string_view key) const {
        const std::optional<std::int64_t> ms = integer(key);
        return ms ? std::optional(std::chrono::milliseconds(*ms)) : std::nullopt;
    }
    [[nodiscard]] std::chrono::milliseconds duration(std::string_view key,
                                                     std::chrono::milliseconds fallback) const {
        return duration(key).value_or(fallback);
    }
    /// The items of a list, or key, value, key, value ... of a map; empty if not given. Texts point into the
    /// configuration.
    [[nodiscard]] std::vector<things_value> items(std::string_view key) const {
        const things_setting* setting = find(key);
        return setting ? std::vector<things_value>(setting->items, setting->items + setting->item_count)
                       : std::vector<things_value>();
    }

private:
    const things_setting* const* settings_;
    std::uint32_t count_;
};

// ---- the host ---------------------------------------------------------------------------------------------

/// The host's functions with C++ types. Refers to the host's table, which outlives the source; pass it by
/// value. Call it only during a call of the host, on that thread; interrupted() works on any thread.
class PluginHost {
public:
    explicit PluginHost(const things_host& host) : host_(&host) {}

    /// One reading; the host adds the current time.
    void emit(std::uint32_t point, const things_value& value, std::uint32_t duration_us = 0,
              const char* raw = nullptr) const {
        things_reading reading{};
        reading.size = sizeof reading;
        reading.point = point;
        reading.value = value;
        reading.duration_us = duration_us;
        reading.raw = raw;
        emit(&reading, 1);
    }
    /// Each must have its `size` set, and all the same one.
    void emit(const things_reading* readings, std::uint32_t count) const {
        if (count > 0)
            host_->emit(host_->context, readings, count);
    }
    void report(things_event_kind kind, things_level level, std::uint32_t index, const char* code,
                const std::string& text) const {
        things_event event{};
        event.size = sizeof event;
        event.kind = kind;
        event.level = level;
        event.index = index;
        event.code = code;
        event.text = text.c_str();
        host_->report(host_->context, &event);
    }
    /// Why there is no value yet; see THINGS_REASON.
    void reason(things_level level, std::uint32_t index, const std::string& text) const {
        report(THINGS_REASON, level, index, "reason", text);
    }
    /// Whether the gateway believes the system clock; false if the host is too old to say.
    [[nodiscard]] bool is_clock_trusted() const {
        return has(offsetof(things_host, clock_trusted)) && host_->clock_trusted != nullptr &&
               host_->clock_trusted(host_->context) != 0;
    }
    /// The longest that one step may take; only during create. Without effect if the host is too old.
    void patience(std::chrono::milliseconds time) const {
        if (has(offsetof(things_host, patience)) && host_->patience != nullptr)
            host_->patience(host_->context, time.count());
    }
    /// A mistake in the configuration; only during create.
    void problem(things_level level, std::uint32_t index, const char* key, const std::string& message) const {
        host_->problem(host_->context, level, index, key, message.c_str());
    }
    [[nodiscard]] bool interrupted() const { return host_->interrupted(host_->context) != 0; }
    /// One result as a JSON object on one line; only during discover and plan.
    void found(const std::string& json) const { host_->found(host_->context, json.c_str()); }
    void progress(double part) const { host_->progress(host_->context, part); }
    /// Never read from it: it stays readable until the host empties it.
    [[nodiscard]] int wake_fd() const { return host_->wake_fd; }

private:
    /// Whether the host knows the function there.
    [[nodiscard]] bool has(std::size_t offset) const { return host_->size >= offset + sizeof(void*); }
    const things_host* host_;
};

/// CLOCK_MONOTONIC in milliseconds, the clock of all deadlines.
inline std::int64_t monotonic_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// ---- the border -------------------------------------------------------------------------------------------

// clang-format off
/// Makes the contract's functions from a class S, which has
///   static std::unique_ptr<S> make(const PluginHost&, const things_source_config&);   // null after problem()
/// and those of the following that it offers:
///   int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
///   int listen(std::int64_t deadline_ms);
///   int write(std::uint32_t point, const things_value& value, things_value& written, std::int64_t deadline_ms);
///   int discover(const PluginSettings& options, std::int64_t deadline_ms);
///   int plan();
/// In the table, take the address of each one offered: table.poll = &PluginBorder<S>::poll.
/// An exception becomes a problem with the code "bug" and THINGS_FAILED; one that make throws becomes a problem
/// of the configuration. The source lives until destroy; an exception in its destructor ends the process.
// clang-format on
template <class S>
struct PluginBorder {
    /// The host stays reachable even if the source is broken, so that complain() can report.
    struct Held {
        PluginHost host;
        std::unique_ptr<S> source;
    };

    static int create(const things_host* host, const things_source_config* config, things_source** source) {
        const PluginHost comfort(*host);
        try {
            std::unique_ptr<S> made = S::make(comfort, *config);
            if (!made)
                return THINGS_INVALID;
            *source = reinterpret_cast<things_source*>(new Held{comfort, std::move(made)});
            return THINGS_OK;
        } catch (const std::exception& error) {
            host->problem(host->context, THINGS_SOURCE, 0, "", error.what());
        } catch (...) {
            host->problem(host->context, THINGS_SOURCE, 0, "", "unknown exception");
        }
        return THINGS_INVALID;
    }
    static void destroy(things_source* source) { delete held(source); }
    static int poll(things_source* source, const std::uint32_t* points, std::uint32_t count,
                    std::int64_t deadline_ms) {
        return guarded(source, [=](S& s) { return s.poll(points, count, deadline_ms); });
    }
    static int listen(things_source* source, std::int64_t deadline_ms) {
        return guarded(source, [=](S& s) { return s.listen(deadline_ms); });
    }
    static int write(things_source* source, std::uint32_t point, const things_value* value,
                     things_value* written, std::int64_t deadline_ms) {
        return guarded(source, [=](S& s) { return s.write(point, *value, *written, deadline_ms); });
    }
    static int discover(things_source* source, const things_setting* const* options, std::uint32_t count,
                        std::int64_t deadline_ms) {
        return guarded(source, [=](S& s) { return s.discover(PluginSettings(options, count), deadline_ms); });
    }
    static int plan(things_source* source) {
        return guarded(source, [](S& s) { return s.plan(); });
    }

private:
    static Held* held(things_source* source) { return reinterpret_cast<Held*>(source); }

    /// What was emitted before an exception stays emitted.
    template <class Call>
    static int guarded(things_source* source, Call call) noexcept {
        Held& it = *held(source);
        try {
            return call(*it.source);
        } catch (const std::exception& error) {
            complain(it.host, error.what());
        } catch (...) {
            complain(it.host, "unknown exception");
        }
        return THINGS_FAILED;
    }
    static void complain(const PluginHost& host, const char* what) noexcept {
        try {
            host.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "bug",
                        std::string("the plugin stopped in the middle of a call: ") + what +
                            ". This is a mistake in the plugin; please report it.");
        } catch (...) {
            return; // no memory left to say so
        }
    }
};

/// Both 0: no range.
struct KeyRange {
    double minimum = 0, maximum = 0;
};
/// Texts must live as long as the table, so pass literals.
inline things_key make_key(things_level level, const char* name, things_type type, const char* fallback,
                           const char* help, KeyRange range = {}, const char* unit = "",
                           std::uint32_t flags = 0, const char* choices = "", const char* group = "") {
    return {sizeof(things_key), level,         name,          type,    flags, unit,
            fallback,           range.minimum, range.maximum, choices, group, help};
}

} // namespace things
