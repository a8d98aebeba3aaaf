// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.h"
#include "things_plugin.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// A host for one plugin in a test: keeps everything that comes out, and builds the configuration structs of
// the contract from plain values.
namespace things {

/// Settings of one level, in the words of the configuration file.
class FakeSettings {
public:
    using Scalar = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;
    FakeSettings() = default;

    FakeSettings& set(const std::string& key, bool value) { return add(key, value); }
    FakeSettings& set(const std::string& key, int value) { return add(key, std::int64_t{value}); }
    FakeSettings& set(const std::string& key, std::int64_t value) { return add(key, value); }
    FakeSettings& set(const std::string& key, std::uint64_t value) { return add(key, value); }
    FakeSettings& set(const std::string& key, double value) { return add(key, value); }
    FakeSettings& set(const std::string& key, const char* value) { return add(key, std::string(value)); }
    FakeSettings& set(const std::string& key, const std::string& value) { return add(key, value); }
    FakeSettings& list(const std::string& key, std::vector<Scalar> items) {
        entries_.push_back({key, false, std::move(items)});
        return *this;
    }

    struct Entry {
        std::string key;
        bool scalar = true;
        std::vector<Scalar> items;
    };
    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

private:
    FakeSettings& add(const std::string& key, Scalar value) {
        entries_.push_back({key, true, {std::move(value)}});
        return *this;
    }
    std::vector<Entry> entries_;
};

/// The structs of the contract over a FakeSettings, which must stay alive.
class FakeSettingTable {
public:
    explicit FakeSettingTable(const FakeSettings& from) {
        for (const FakeSettings::Entry& entry : from.entries()) {
            std::vector<things_value>& items = items_.emplace_back();
            for (const FakeSettings::Scalar& scalar : entry.items)
                items.push_back(std::visit([](const auto& value) { return make_value(value); }, scalar));
            things_setting& setting = settings_.emplace_back();
            setting.size = sizeof setting;
            setting.key = entry.key.c_str();
            if (entry.scalar) {
                setting.value = items[0];
            } else {
                setting.items = items.data();
                setting.item_count = static_cast<std::uint32_t>(items.size());
            }
        }
        for (const things_setting& setting : settings_)
            pointers_.push_back(&setting);
    }
    [[nodiscard]] const things_setting* const* data() const { return pointers_.data(); }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(pointers_.size()); }

private:
    std::deque<std::vector<things_value>> items_;
    std::deque<things_setting> settings_;
    std::vector<const things_setting*> pointers_;
};

/// What was configured: a source, devices, points.
struct FakeConfig {
    struct Device {
        std::string name;
        FakeSettings settings;
    };
    struct Point {
        std::uint32_t device = 0;
        std::string name;
        FakeSettings settings;
        std::uint32_t writable = 0; ///< of enum things_writable
        std::int64_t interval_ms = 1000;
        std::string unit{};
    };
    FakeSettings source;
    std::vector<Device> devices;
    std::vector<Point> points;
};

class FakePluginHost {
public:
    using Value = PluginValue;
    struct Emitted {
        std::uint32_t point;
        Value value;
        std::string raw;
        std::uint32_t duration_us;
    };
    struct Event {
        std::uint32_t kind, level, index;
        std::string code, text;
    };
    struct Problem {
        std::uint32_t level, index;
        std::string key, message;
    };

    FakePluginHost() {
        host_.size = sizeof host_;
        host_.abi_minor = THINGS_ABI_MINOR;
        host_.context = this;
        host_.emit = [](void* self, const things_reading* all, std::uint32_t count) {
            static_cast<FakePluginHost*>(self)->take(all, count);
        };
        host_.report = [](void* self, const things_event* e) {
            static_cast<FakePluginHost*>(self)->events.push_back(
                {e->kind, e->level, e->index, e->code, e->text});
        };
        host_.problem = [](void* self, std::uint32_t level, std::uint32_t index, const char* key,
                           const char* text) {
            static_cast<FakePluginHost*>(self)->problems.push_back({level, index, key, text});
        };
        host_.interrupted = [](void* self) {
            return static_cast<FakePluginHost*>(self)->interrupt.load() ? 1 : 0;
        };
        host_.found = [](void* self, const char* json) {
            static_cast<FakePluginHost*>(self)->found.emplace_back(json);
        };
        host_.progress = [](void* self, double part) {
            static_cast<FakePluginHost*>(self)->progress = part;
        };
        host_.wake_fd = -1;
    }
    FakePluginHost(const FakePluginHost&) = delete;
    FakePluginHost& operator=(const FakePluginHost&) = delete;

    [[nodiscard]] const things_host& table() const { return host_; }

    /// The last value of a point; monostate if there is none.
    [[nodiscard]] Value last(std::uint32_t point) const {
        for (auto it = emitted.rbegin(); it != emitted.rend(); ++it)
            if (it->point == point)
                return it->value;
        return {};
    }
    /// The first event with this code; an empty one if there is none.
    [[nodiscard]] Event event(const std::string& code) const {
        for (const Event& event : events)
            if (event.code == code)
                return event;
        return {};
    }
    [[nodiscard]] bool has_event(std::uint32_t kind, const std::string& code) const {
        for (const Event& event : events)
            if (event.kind == kind && event.code == code)
                return true;
        return false;
    }

    bool keep = true; ///< false: count only
    std::uint64_t readings = 0;
    std::vector<Emitted> emitted;
    std::vector<Event> events;
    std::vector<Problem> problems;
    std::vector<std::string> found;
    double progress = 0;
    std::atomic<bool> interrupt{false};

private:
    void take(const things_reading* readings_in, std::uint32_t count) {
        readings += count;
        const auto* at = reinterpret_cast<const char*>(readings_in);
        for (std::uint32_t i = 0; keep && i < count; ++i, at += readings_in->size) {
            const auto& r = *reinterpret_cast<const things_reading*>(at);
            emitted.push_back({r.point, copy_of(r.value), r.raw ? r.raw : "", r.duration_us});
        }
    }
    things_host host_{};
};

/// A source of a plugin under test, made from a FakeConfig.
class FakeSource {
public:
    FakeSource(const things_plugin& plugin, FakePluginHost& host, const FakeConfig& config)
        : plugin_(&plugin), points_(static_cast<std::uint32_t>(config.points.size())) {
        std::deque<FakeSettingTable> tables;
        std::deque<things_device> devices;
        std::deque<things_point> points;
        std::vector<const things_device*> device_list;
        std::vector<const things_point*> point_list;
        for (const FakeConfig::Device& device : config.devices) {
            const FakeSettingTable& table = tables.emplace_back(device.settings);
            devices.push_back({sizeof(things_device), table.size(), device.name.c_str(), table.data()});
            device_list.push_back(&devices.back());
        }
        for (const FakeConfig::Point& point : config.points) {
            const FakeSettingTable& table = tables.emplace_back(point.settings);
            points.push_back({sizeof(things_point), point.device, point.name.c_str(), point.unit.c_str(),
                              point.interval_ms, point.writable, table.size(), table.data()});
            point_list.push_back(&points.back());
        }
        const FakeSettingTable source(config.source);
        const things_source_config all{sizeof all,
                                       source.size(),
                                       "source",
                                       source.data(),
                                       static_cast<std::uint32_t>(device_list.size()),
                                       points_,
                                       device_list.data(),
                                       point_list.data()};
        status = plugin.create(&host.table(), &all, &source_);
    }
    ~FakeSource() {
        if (source_)
            plugin_->destroy(source_);
    }
    FakeSource(const FakeSource&) = delete;
    FakeSource& operator=(const FakeSource&) = delete;

    int poll(std::vector<std::uint32_t> points, std::int64_t timeout_ms = 30000) {
        return plugin_->poll(source_, points.data(), static_cast<std::uint32_t>(points.size()),
                             monotonic_ms() + timeout_ms);
    }
    int poll_all(std::int64_t timeout_ms = 30000) {
        std::vector<std::uint32_t> points(points_);
        for (std::uint32_t i = 0; i < points_; ++i)
            points[i] = i;
        return poll(points, timeout_ms);
    }
    template <class T>
    int write(std::uint32_t point, const T& value) {
        const things_value in = make_value(value);
        things_value out = in;
        const int result = plugin_->write(source_, point, &in, &out, monotonic_ms() + 30000);
        written = copy_of(out);
        return result;
    }
    int plan() { return plugin_->plan(source_); }
    int discover(const FakeSettings& options, std::int64_t timeout_ms = 60000) {
        const FakeSettingTable table(options);
        return plugin_->discover(source_, table.data(), table.size(), monotonic_ms() + timeout_ms);
    }

    int status = THINGS_INVALID;     ///< of create
    FakePluginHost::Value written{}; ///< of the last write

private:
    const things_plugin* plugin_;
    std::uint32_t points_;
    things_source* source_ = nullptr;
};

} // namespace things
