// SPDX-License-Identifier: Apache-2.0
#include "queue/catalogue.hpp"

#include "queue/bytes.hpp"

namespace things {

namespace {

std::string key_of(const Series& s) {
    std::string key;
    put_varint(key, s.device);
    put_text(key, s.name);
    put_text(key, s.unit);
    return key;
}

} // namespace

DeviceId Catalogue::device(const std::string& dvnuuid) {
    const auto [at, is_new] = device_ids_.emplace(dvnuuid, static_cast<DeviceId>(devices_.size()));
    if (is_new)
        devices_.push_back(dvnuuid);
    return at->second;
}

SeriesId Catalogue::series(DeviceId device, const std::string& name, const std::string& unit) {
    Series s{device, name, unit};
    const auto [at, is_new] = series_ids_.emplace(key_of(s), static_cast<SeriesId>(series_.size()));
    if (is_new)
        series_.push_back(std::move(s));
    return at->second;
}

bool Catalogue::restore_device(DeviceId id, const std::string& dvnuuid) {
    if (id < devices_.size())
        return devices_[id] == dvnuuid;
    // Ids are places: one that leaves a gap, or a name that has another id, belongs to another queue.
    return id == devices_.size() && device(dvnuuid) == id;
}

bool Catalogue::restore_series(SeriesId id, const Series& s) {
    if (id < series_.size())
        return series_[id] == s;
    return id == series_.size() && s.device < devices_.size() && series(s.device, s.name, s.unit) == id;
}

std::string Catalogue::encode_from(std::size_t device, std::size_t series) const {
    std::string out;
    put_varint(out, devices_.size() - device);
    for (std::size_t i = device; i < devices_.size(); ++i)
        put_text(out, devices_[i]);
    put_varint(out, series_.size() - series);
    for (std::size_t i = series; i < series_.size(); ++i) {
        put_varint(out, series_[i].device);
        put_text(out, series_[i].name);
        put_text(out, series_[i].unit);
    }
    return out;
}

bool Catalogue::decode_from(std::string_view bytes, std::uint64_t device, std::uint64_t series) {
    ByteReader in(bytes);
    const std::uint64_t devices = in.varint();
    for (std::uint64_t i = 0; i < devices && in.is_good(); ++i)
        if (!restore_device(static_cast<DeviceId>(device + i), std::string(in.text())))
            return false;
    const std::uint64_t count = in.varint();
    for (std::uint64_t i = 0; i < count && in.is_good(); ++i) {
        Series s;
        s.device = static_cast<DeviceId>(in.varint());
        s.name = std::string(in.text());
        s.unit = std::string(in.text());
        if (!restore_series(static_cast<SeriesId>(series + i), s))
            return false;
    }
    return in.is_good();
}

} // namespace things
