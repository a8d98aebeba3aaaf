// SPDX-License-Identifier: Apache-2.0
#include "cli/open_bus.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <future>

namespace things::cli {

namespace {

constexpr std::chrono::milliseconds look_every{200};
/// By hand, so that the schedule of the configuration does not run beside the calls.
constexpr auto never = hours(24 * 3650);

/// Waits for an answer. Bounded by the source: a call past its time is answered by check().
template <typename Answer>
Answer wait_for(std::future<Answer> answer, Source& source) {
    while (answer.wait_for(look_every) != std::future_status::ready)
        source.check();
    return answer.get();
}

BusResult failure(BusResult::Status status, std::string text) {
    BusResult result;
    result.status = status;
    result.text = std::move(text);
    return result;
}

} // namespace

struct OpenBus::Line : SourceListener {
    void on_readings(std::vector<PointReading>) override {}
    void on_event(SourceEvent) override {} // results carry their own texts
    SourceWork work;
    std::unique_ptr<Source> source;
};

OpenBus::OpenBus(const Config& config, PluginDirectory& plugins,
                 const std::function<bool(const SourceConfig&)>& wanted) {
    for (SourceWork& work : make_work(config).sources) {
        if (!wanted(work.config))
            continue;
        auto line = std::make_unique<Line>();
        const auto library = plugins.find(work.config.plugin);
        // A plugin that only listens thins out by the interval: there it must stay.
        if (library->description().polls)
            for (SourcePoint& point : work.points)
                point.config.interval = never;
        line->work = std::move(work);
        line->source = make_source(line->work, library, clock_, *line);
        line->source->start();
        lines_.push_back(std::move(line));
    }
}

OpenBus::~OpenBus() {
    for (const auto& line : lines_)
        // All first, then wait: sources end side by side.
        line->source->stop();
    for (const auto& line : lines_)
        (void)line->source->join(seconds(2));
}

OpenBus::Line* OpenBus::find(const std::string& device, const std::string& point, std::uint32_t& index) {
    for (const auto& line : lines_)
        for (std::uint32_t i = 0; i < line->work.points.size(); ++i) {
            const SourcePoint& at = line->work.points[i];
            if (at.config.name == point && line->work.devices[at.device].name == device) {
                index = i;
                return line.get();
            }
        }
    return nullptr;
}

BusResult OpenBus::read(const std::string& device, const std::string& point) {
    std::uint32_t index = 0;
    Line* line = find(device, point, index);
    if (!line)
        return failure(BusResult::Status::unsupported, "no such point");
    auto promise =
        std::make_shared<std::promise<BusResult>>(); // with the source's thread, which may answer late
    std::future<BusResult> answer = promise->get_future();
    line->source->read(index, [promise](BusResult result) { promise->set_value(std::move(result)); });
    return wait_for(std::move(answer), *line->source);
}

BusResult OpenBus::write(const std::string& device, const std::string& point, const Value& value) {
    std::uint32_t index = 0;
    Line* line = find(device, point, index);
    if (!line)
        return failure(BusResult::Status::unsupported, "no such point");
    auto promise =
        std::make_shared<std::promise<BusResult>>(); // with the source's thread, which may answer late
    std::future<BusResult> answer = promise->get_future();
    line->source->write(index, value, INT64_MAX,
                        [promise](BusResult result) { promise->set_value(std::move(result)); });
    return wait_for(std::move(answer), *line->source);
}

std::string OpenBus::discover(const std::string& source, std::vector<Setting> options,
                              const std::function<void(const std::string&)>& on_found,
                              const std::function<void(double)>& on_progress) {
    for (const auto& line : lines_) {
        if (line->work.config.name != source)
            continue;
        auto promise = std::make_shared<std::promise<std::string>>(); // with the source's thread
        std::future<std::string> end = promise->get_future();
        line->source->discover(std::move(options), on_found, on_progress,
                               [promise](std::string error) { promise->set_value(std::move(error)); });
        return wait_for(std::move(end), *line->source);
    }
    return fmt::format("there is no source \"{}\"", source);
}

} // namespace things::cli
