// SPDX-License-Identifier: Apache-2.0
#include "polling/host_protocol.hpp"

#include "polling/byte_stream.hpp"
#include "polling/plugin_config.hpp"

namespace things {

namespace {

constexpr std::size_t header = 5;

/// Writes the arguments one after the other.
template <typename... Args>
std::string pack(const Args&... args) {
    MessageWriter out;
    (out.put(args), ...);
    return out.take();
}

/// Reads the arguments one after the other; true if the payload is just that.
template <typename... Args>
bool unpack(std::string_view payload, Args&... args) {
    MessageReader in(payload);
    (in.get(args), ...);
    return in.is_complete();
}

void put(MessageWriter& out, const KeyDescription& key) {
    out.put(static_cast<std::uint8_t>(key.level));
    out.put(static_cast<std::uint8_t>(key.type));
    for (const bool flag : {key.required, key.secret, key.inherit})
        out.put(flag);
    for (const std::string* text : {&key.name, &key.unit, &key.fallback, &key.group, &key.help})
        out.put(*text);
    out.put(key.minimum);
    out.put(key.maximum);
    out.put(key.choices);
}

void get(MessageReader& in, KeyDescription& key) {
    in.get(key.level, Level::source, Level::point);
    in.get(key.type, SettingType::boolean, SettingType::map);
    for (bool* flag : {&key.required, &key.secret, &key.inherit})
        in.get(*flag);
    for (std::string* text : {&key.name, &key.unit, &key.fallback, &key.group, &key.help})
        in.get(*text);
    in.get(key.minimum);
    in.get(key.maximum);
    in.get(key.choices);
}

} // namespace

std::string encode(const HostFrame& frame) {
    std::string bytes =
        pack(static_cast<std::uint32_t>(frame.payload.size()), static_cast<std::uint8_t>(frame.type));
    return bytes += frame.payload;
}

void HostFrameReader::feed(std::string_view bytes) {
    if (is_broken_)
        return;
    if (used_ > 0 && used_ >= buffer_.size() / 2) {
        buffer_.erase(0, used_);
        used_ = 0;
    }
    buffer_ += bytes;
}

std::optional<HostFrame> HostFrameReader::next() {
    const std::string_view left = std::string_view(buffer_).substr(used_);
    if (is_broken_ || left.size() < header)
        return std::nullopt;
    MessageReader in(left.substr(0, header));
    std::uint32_t size = 0;
    HostFrame frame;
    in.get(size);
    in.get(frame.type, FrameType::create, FrameType::patience);
    // A stream that is out of step never comes back into it: nothing more of it is read.
    if (!in.is_good() || size > longest_) {
        is_broken_ = true;
        buffer_.clear();
        used_ = 0;
        return std::nullopt;
    }
    if (left.size() < header + size)
        return std::nullopt;
    frame.payload = std::string(left.substr(header, size));
    used_ += header + size;
    return frame;
}

std::string encode(const SourceWork& work) {
    MessageWriter out;
    out.put(work.config.name);
    out.put(work.config.plugin);
    out.put(work.config.settings);
    out.put(static_cast<std::uint32_t>(work.devices.size()));
    for (const SourceDevice& device : work.devices) {
        out.put(device.name);
        out.put(device.settings);
    }
    out.put(static_cast<std::uint32_t>(work.points.size()));
    for (const SourcePoint& point : work.points) {
        out.put(point.device);
        out.put(point.config.name);
        out.put(point.config.unit);
        out.put(std::int64_t{point.config.interval.count()});
        out.put(writable_flags(point.config));
        out.put(point.config.settings);
    }
    return out.take();
}

bool decode(std::string_view payload, SourceWork& work) {
    MessageReader in(payload);
    in.get(work.config.name);
    in.get(work.config.plugin);
    in.get(work.config.settings);
    for (std::uint32_t left = in.get_count(); left > 0 && in.is_good(); --left) {
        SourceDevice& device = work.devices.emplace_back();
        in.get(device.name);
        in.get(device.settings);
    }
    for (std::uint32_t left = in.get_count(); left > 0 && in.is_good(); --left) {
        SourcePoint& point = work.points.emplace_back();
        std::int64_t interval = 0;
        std::uint32_t writable = 0;
        in.get(point.device);
        in.get(point.config.name);
        in.get(point.config.unit);
        in.get(interval);
        in.get(writable);
        in.get(point.config.settings);
        point.config.interval = Milliseconds(interval);
        set_writable(point.config, writable);
        if (point.device >= work.devices.size())
            return false;
    }
    return in.is_complete();
}

std::string encode(const PollFrame& frame) {
    return pack(frame.points, frame.deadline_ms);
}
bool decode(std::string_view payload, PollFrame& out) {
    return unpack(payload, out.points, out.deadline_ms);
}

std::string encode(const WriteFrame& frame) {
    return pack(frame.point, frame.value, frame.deadline_ms);
}
bool decode(std::string_view payload, WriteFrame& out) {
    return unpack(payload, out.point, out.value, out.deadline_ms);
}

std::string encode(const DiscoverFrame& frame) {
    return pack(frame.options, frame.deadline_ms);
}
bool decode(std::string_view payload, DiscoverFrame& out) {
    return unpack(payload, out.options, out.deadline_ms);
}

std::string encode(const GarbageFrame& frame) {
    return pack(frame.count, frame.why);
}
bool decode(std::string_view payload, GarbageFrame& out) {
    return unpack(payload, out.count, out.why);
}

std::string encode(const HelloFrame& frame) {
    const PluginDescription& plugin = frame.description;
    MessageWriter out;
    for (const std::string* text : {&frame.error, &plugin.name, &plugin.version, &plugin.summary})
        out.put(*text);
    for (const bool flag : {plugin.polls, plugin.listens, plugin.writes, plugin.discovers, plugin.plans})
        out.put(flag);
    out.put(static_cast<std::uint32_t>(plugin.keys.size()));
    for (const KeyDescription& key : plugin.keys)
        put(out, key);
    return out.take();
}

bool decode(std::string_view payload, HelloFrame& frame) {
    PluginDescription& plugin = frame.description;
    MessageReader in(payload);
    for (std::string* text : {&frame.error, &plugin.name, &plugin.version, &plugin.summary})
        in.get(*text);
    for (bool* flag : {&plugin.polls, &plugin.listens, &plugin.writes, &plugin.discovers, &plugin.plans})
        in.get(*flag);
    for (std::uint32_t left = in.get_count(); left > 0 && in.is_good(); --left)
        get(in, plugin.keys.emplace_back());
    return in.is_complete();
}

std::string encode(const CallResult& result) {
    MessageWriter out;
    out.put(static_cast<std::uint8_t>(result.status));
    out.put(result.text);
    out.put(result.written.has_value());
    if (result.written)
        out.put(*result.written);
    return out.take();
}

bool decode(std::string_view payload, CallResult& result) {
    MessageReader in(payload);
    bool has_written = false;
    in.get(result.status, CallResult::Status::ok, CallResult::Status::unsupported);
    in.get(result.text);
    in.get(has_written);
    if (has_written)
        in.get(result.written.emplace());
    return in.is_complete();
}

std::string encode(const std::vector<RawReading>& readings) {
    MessageWriter out;
    out.put(static_cast<std::uint32_t>(readings.size()));
    for (const RawReading& reading : readings) {
        out.put(reading.point);
        out.put(reading.value);
        out.put(reading.own_time_ms.has_value());
        out.put(std::int64_t{reading.own_time_ms.value_or(0)});
        out.put(reading.duration_us);
        out.put(reading.raw);
        out.put(reading.unchanged);
    }
    return out.take();
}

bool decode(std::string_view payload, std::vector<RawReading>& readings) {
    MessageReader in(payload);
    for (std::uint32_t left = in.get_count(); left > 0 && in.is_good(); --left) {
        RawReading& reading = readings.emplace_back();
        bool has_time = false;
        std::int64_t time = 0;
        in.get(reading.point);
        in.get(reading.value);
        in.get(has_time);
        in.get(time);
        in.get(reading.duration_us);
        in.get(reading.raw);
        in.get(reading.unchanged);
        if (has_time)
            reading.own_time_ms = time;
    }
    return in.is_complete();
}

std::string encode(const SourceEvent& event) {
    return pack(static_cast<std::uint8_t>(event.kind), static_cast<std::uint8_t>(event.level), event.index,
                event.code, event.text);
}

bool decode(std::string_view payload, SourceEvent& event) {
    MessageReader in(payload);
    in.get(event.kind, SourceEvent::Kind::problem, SourceEvent::Kind::reason);
    in.get(event.level, Level::source, Level::point);
    in.get(event.index);
    in.get(event.code);
    in.get(event.text);
    return in.is_complete();
}

std::string encode(const SettingProblem& problem) {
    return pack(static_cast<std::uint8_t>(problem.level), problem.index, problem.key, problem.message);
}

bool decode(std::string_view payload, SettingProblem& problem) {
    MessageReader in(payload);
    in.get(problem.level, Level::source, Level::point);
    in.get(problem.index);
    in.get(problem.key);
    in.get(problem.message);
    return in.is_complete();
}

std::string encode_number(double number) {
    return pack(number);
}
bool decode(std::string_view payload, double& out) {
    return unpack(payload, out);
}

std::string encode_time(std::int64_t time_ms) {
    return pack(time_ms);
}
bool decode(std::string_view payload, std::int64_t& out) {
    return unpack(payload, out);
}

} // namespace things
