// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/storm.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

// bus-storm noise|rtu|rtutcp|tcp|zero|counter|swapped EXCHANGES SEED [FROM]: so many requests and answers
// through the plugin's bus while the line does its worst, in the time of the line. Prints one line of JSON;
// exit code 1 if a wrong value came out.
int main(int argc, char** argv) {
    using namespace things;
    if (argc < 4) {
        std::fprintf(stderr,
                     "usage: bus-storm noise|rtu|rtutcp|tcp|zero|counter|swapped EXCHANGES SEED [FROM]\n");
        return 64;
    }
    constexpr const char* kinds[] = {"noise", "rtu", "rtutcp", "tcp", "zero", "counter", "swapped"};
    const auto kind = std::find_if(std::begin(kinds), std::end(kinds),
                                   [argv](const char* name) { return std::strcmp(argv[1], name) == 0; });
    if (kind == std::end(kinds))
        return 64;
    Storm storm(static_cast<Storm::Kind>(kind - kinds), std::strtoull(argv[3], nullptr, 10));
    if (argc > 4)
        storm.tell_from(std::strtoull(argv[4], nullptr, 10));
    storm.run(std::strtoull(argv[2], nullptr, 10));
    std::printf("%s\n", storm.report().c_str());
    return storm.wrong() == 0 ? 0 : 1;
}
