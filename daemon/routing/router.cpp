// SPDX-License-Identifier: Apache-2.0
#include "routing/router.hpp"

#include "routing/command_check.hpp"
#include "routing/router_core.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

// More than one downlink can hold (100), so that the previous one is always whole.
constexpr std::size_t history_depth = 256;

/// What routing keeps of a device's configuration: no secret, and settings of writable points only.
DeviceConfig without_ballast(const DeviceConfig& device) {
    DeviceConfig kept;
    kept.name = device.name;
    kept.dvnuuid = device.dvnuuid;
    kept.commands = device.commands;
    for (const auto& point : device.points) {
        if (point.writable) {
            kept.points.push_back(point);
            continue;
        }
        PointConfig name_only;
        name_only.name = point.name;
        kept.points.push_back(std::move(name_only));
    }
    return kept;
}

} // namespace

const PointConfig* find_point(const DeviceConfig& device, const std::string& name) {
    for (const auto& point : device.points)
        if (point.name == name)
            return &point;
    return nullptr;
}

void Router::Core::update(const Config& config) {
    devices_.clear();
    names_.clear();
    read_only_sources_.clear();
    writes_ = config.writes;
    require_sync_ = config.time.require_sync;
    for (const auto& source : config.sources)
        if (!source.writes)
            read_only_sources_.insert(source.name);
    for (const auto& device : config.devices) {
        names_[device.name] = device.dvnuuid;
        devices_[device.dvnuuid] = without_ballast(device);
    }
    // What a lane does next may call for another device's desk, so the map is not walked meanwhile.
    std::vector<CommandLane*> lanes;
    for (const auto& [dvnuuid, desk] : desks_)
        lanes.push_back(&desk->lane);
    for (auto* lane : lanes)
        lane->proceed();
}

const DeviceConfig* Router::Core::find_device(const std::string& dvnuuid) const {
    const auto device = devices_.find(dvnuuid);
    return device == devices_.end() ? nullptr : &device->second;
}

const DeviceConfig* Router::Core::find_name(const std::string& name) const {
    const auto dvnuuid = names_.find(name);
    return dvnuuid == names_.end() ? nullptr : find_device(dvnuuid->second);
}

Desk& Router::Core::desk(const std::string& dvnuuid) {
    auto& desk = desks_[dvnuuid];
    if (!desk) {
        desk = std::make_unique<Desk>(run_ports_, *this, dvnuuid);
        if (stopped_)
            desk->lane.stop();
    }
    return *desk;
}

/// What the store knows of a device's past; read once, when the device gets its first command. Whatever had
/// not ended before this start is in `unfinished`.
void Router::Core::remember(Desk& desk, const DeviceConfig& device, const std::vector<Command>& unfinished) {
    if (desk.is_remembered)
        return;
    desk.is_remembered = true;
    auto known = ports_.store.recent(device.dvnuuid, history_depth);
    known.insert(known.end(), unfinished.begin(), unfinished.end());
    desk.previous = previous_pack(known);
    for (const auto& [point, at] : last_writes(ports_.store.audit(device.name, history_depth), ports_.clock))
        desk.writes.try_emplace(point, at);
}

CheckContext Router::Core::context(const DeviceConfig& device) {
    CheckContext context;
    context.writes = writes_;
    context.read_only_sources = read_only_sources_;
    context.clock_trusted = is_clock_trusted();
    context.now_wall_ms = ports_.clock.wall_ms();
    auto& known = desk(device.dvnuuid);
    remember(known, device, {});
    for (const auto& [point, at] : known.writes)
        context.since_write_ms[point] = ports_.clock.boot_ms() - at;
    for (const auto& point : device.points)
        if (point.writable)
            if (auto last = ports_.bus.last(device.name, point.name))
                context.last[point.name] = std::move(*last);
    return context;
}

void Router::Core::start() {
    // Numbers of packs go on where they stopped, so that a repeated number never joins two downlinks.
    for (const auto& newest : ports_.store.audit({}, 1))
        last_pack_ = std::max(last_pack_, newest.pack);
    std::map<std::string, std::vector<Command>> unfinished;
    for (auto& command : ports_.store.unfinished()) {
        last_pack_ = std::max(last_pack_, command.pack);
        unfinished[command.dvnuuid].push_back(std::move(command));
    }
    for (auto& [dvnuuid, commands] : unfinished) {
        const auto* device = find_device(dvnuuid);
        const bool is_atomic = device != nullptr && device->commands == CommandMode::atomic;
        if (device != nullptr)
            remember(desk(dvnuuid), *device, commands);
        const auto audit = ports_.store.audit(commands.front().device, history_depth);
        std::vector<Command> taken_up;
        for (auto& resumed : resume(commands, audit, is_atomic)) {
            if (device != nullptr)
                resumed.command.device = device->name;
            if (resumed.cancel.empty())
                taken_up.push_back(std::move(resumed.command));
            else
                desk(dvnuuid).lane.cancel(std::move(resumed.command), CommandState::refused, resumed.cancel);
        }
        desk(dvnuuid).lane.resume(std::move(taken_up));
    }
}

void Router::Core::stop() {
    stopped_ = run_ports_.is_stopping = true;
    for (const auto& [dvnuuid, desk] : desks_)
        desk->lane.stop();
}

RouterCounts Router::Core::counts() const {
    auto counts = counts_;
    for (const auto& [dvnuuid, desk] : desks_)
        counts.waiting += desk->lane.waiting();
    return counts;
}

Router::Router(RouterPorts ports, const Config& config)
    : core_(std::make_unique<Core>(std::move(ports), config)) {}
Router::~Router() = default;

void Router::start() {
    core_->start();
}

void Router::on_answer(const std::string& device, std::string_view body) {
    core_->on_answer(device, body);
}

void Router::on_broken_answer(const std::string& device, const std::string& reason) {
    core_->on_broken_answer(device, reason);
}

void Router::on_late_answer(const std::string& dvnuuid, std::string_view body) {
    core_->on_late_answer(dvnuuid, body);
}

void Router::write_local(const std::string& device, const std::string& point, const std::string& text,
                         std::function<void(std::string, LocalEnd)> handler) {
    core_->write_local(device, point, text, std::move(handler));
}

void Router::update(const Config& config) {
    core_->update(config);
}

void Router::stop() {
    core_->stop();
}

RouterCounts Router::counts() const {
    return core_->counts();
}

} // namespace things
