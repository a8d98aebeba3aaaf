// SPDX-License-Identifier: Apache-2.0
#include "delivery/packer.hpp"

#include <algorithm>

namespace things {

const Packer::Series& Packer::find(SeriesId id) {
    // Doubled, since series are met one by one at the start.
    if (id >= series_.size())
        series_.resize(std::max<std::size_t>(std::size_t{id} + 1, 2 * series_.size()));
    Series& series = series_[id];
    if (series.is_found)
        return series;
    const SeriesText text = find_series_(id);
    series.text = make_senml_series(text.name, text.unit);
    series.name = name_index_.try_emplace(std::string(text.name), names_.size()).first->second;
    if (series.name == names_.size())
        names_.emplace_back();
    series.is_found = !text.name.empty(); // one that is not known yet may become so
    return series;
}

/// Whether a reading of the same name and time stands in [from, index) already.
bool Packer::is_repeated(const Batch& batch, std::size_t from, std::size_t index) const {
    const Reading& reading = batch.readings[index];
    const std::size_t name = series_[reading.series].name;
    // Times of one name nearly always rise, so that the search is for clock steps and history.
    if (names_[name].pack != packs_ || reading.stamp.ms > names_[name].newest_ms)
        return false;
    for (std::size_t i = from; i < index; ++i) {
        const Reading& other = batch.readings[i];
        if (other.stamp.ms == reading.stamp.ms && series_[other.series].name == name)
            return true;
    }
    return false;
}

Pack Packer::pack(std::string_view base_name, const Batch& batch, std::size_t from, std::size_t count,
                  const PackLimits& limits) {
    Pack pack;
    ++packs_;
    writer_.begin(base_name);
    for (std::size_t i = from; i < from + count && pack.records < limits.max_records; ++i) {
        const Reading& reading = batch.readings[i];
        const Series& series = find(reading.series);
        std::string_view refusal = series.text.refusal;
        if (refusal.empty())
            refusal = find_senml_refusal(reading.value, reading.stamp.ms);
        if (!refusal.empty()) {
            pack.refused.push_back({i, std::string(refusal)});
            ++pack.used;
            continue;
        }
        // Two values of one name at one time cannot be told apart by the platform: the second begins the next
        // pack.
        if (is_repeated(batch, from, i) ||
            !writer_.add(series.text.members, reading.stamp.ms, reading.value, limits.max_bytes))
            break;
        Name& name = names_[series.name];
        name.newest_ms = name.pack == packs_ ? std::max(name.newest_ms, reading.stamp.ms) : reading.stamp.ms;
        name.pack = packs_;
        ++pack.records;
        ++pack.used;
    }
    if (pack.records > 0)
        pack.body = writer_.finish();
    return pack;
}

} // namespace things
