// SPDX-License-Identifier: Apache-2.0
#include "config/problem.hpp"

#include "config/unseen.hpp"
#include "platform/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace things {

namespace {

// A file of garbage must not become a list of a million lines.
constexpr std::size_t most_problems = 5000;

} // namespace

// File names and values from outside reach a terminal; what is there and cannot be seen is shown as well.
std::string Problem::text() const {
    return show_unseen(printable(
        fmt::format("{}: {}: {}", place.text(), severity == Severity::error ? "error" : "warning", message)));
}

void Problems::error(Place place, std::string message) {
    add(std::move(place), Severity::error, std::move(message));
}

void Problems::warning(Place place, std::string message) {
    add(std::move(place), Severity::warning, std::move(message));
}

void Problems::know_file(const std::string& file) {
    files_.emplace(file, files_.size());
}

void Problems::add(Place place, Severity severity, std::string message) {
    // Counted apart: thousands of warnings must not push out the one error that refuses the file.
    std::size_t& count = severity == Severity::error ? errors_ : warnings_;
    if (count++ < most_problems)
        list_.push_back({std::move(place), severity, std::move(message)});
}

std::vector<Problem> Problems::take() {
    const auto rank = [this](const Problem& problem) {
        const auto found = files_.find(problem.place.file);
        return std::make_tuple(found == files_.end() ? files_.size() : found->second, problem.place.line,
                               problem.place.column);
    };
    std::vector<Problem> list = std::move(list_);
    list_.clear();
    std::stable_sort(list.begin(), list.end(),
                     [&rank](const Problem& a, const Problem& b) { return rank(a) < rank(b); });
    const auto same = [&rank](const Problem& a, const Problem& b) {
        return rank(a) == rank(b) && a.message == b.message && a.place.file == b.place.file;
    };
    list.erase(std::unique(list.begin(), list.end(), same), list.end());
    return list;
}

} // namespace things
