// SPDX-License-Identifier: Apache-2.0
#include "exec/line.hpp"

#include <cstdint>
#include <cstdlib>

// What a program prints: any bytes, in any pieces. What is accepted is within the limits, and what we would
// tell the program about it is a line that our own parser takes for JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace things;
    if (size < 1)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t piece = 1 + static_cast<unsigned char>(bytes[0]);
    LineBuffer buffer;
    for (std::size_t at = 1; at < bytes.size(); at += piece) {
        buffer.feed(bytes.substr(at, piece));
        while (auto text = buffer.next()) {
            if (text->size() > longest_line || text->find('\n') != std::string::npos)
                std::abort();
            const Line line = parse_line(*text);
            if (line.values.size() > most_values || (line.kind == Line::Kind::invalid && line.text.empty()))
                std::abort();
            for (const auto& [field, value] : line.values) {
                const std::string told = write_line(1, field, value);
                if (told.find('\n') != told.size() - 1)
                    std::abort();
                if (told.size() <= longest_line && parse_line(told).text.rfind("it is no JSON", 0) == 0)
                    std::abort();
            }
        }
    }
    return 0;
}
