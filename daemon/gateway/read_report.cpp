// SPDX-License-Identifier: Apache-2.0
#include "gateway/read_report.hpp"

#include "delivery/packer.hpp"
#include "model/senml.hpp"
#include "platform/json.hpp"

namespace things {

namespace {

std::int64_t time_of(const BusResult& result, std::int64_t wall_ms) {
    return result.stamp.clock == Stamp::Clock::wall && result.stamp.ms > 0 ? result.stamp.ms : wall_ms;
}

} // namespace

std::string pack_of(const DeviceConfig& device, const std::vector<PointResult>& results,
                    std::int64_t wall_ms) {
    Batch batch;
    for (std::size_t i = 0; i < results.size(); ++i) {
        const auto& [point, result] = results[i];
        if (result.is_ok())
            batch.readings.push_back(
                {static_cast<SeriesId>(i), {time_of(result, wall_ms), Stamp::Clock::wall}, result.value});
    }
    if (batch.readings.empty())
        return {};
    Packer packer([&results](SeriesId id) {
        return SeriesText{results[id].point->name, results[id].point->unit};
    });
    // Limits that no device reaches: a report is one pack.
    return packer.pack(senml_base_name(device.dvnuuid), batch, 0, batch.readings.size(), {10'000, 1U << 24})
        .body;
}

std::string read_report(const DeviceConfig& device, const std::vector<PointResult>& results,
                        std::int64_t wall_ms) {
    JsonWriter json;
    json.object().member("device", device.name).key("points").array();
    for (const auto& [point, result] : results) {
        const bool ok = result.is_ok();
        json.object().member("name", point->name).member("unit", point->unit).key("value");
        if (ok)
            json.value(result.value);
        else
            json.null();
        json.member("raw", result.raw)
            .member("duration_ms", static_cast<double>(result.duration_us) / 1000)
            .member("time_ms", time_of(result, wall_ms))
            .member("error", ok ? std::string() : result.text)
            .end();
    }
    return json.end().member("senml", pack_of(device, results, wall_ms)).end().take();
}

} // namespace things
