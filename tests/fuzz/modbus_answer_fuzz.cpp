// SPDX-License-Identifier: Apache-2.0
#include "modbus/frame.hpp"
#include "modbus/register_value.hpp"

#include <cstdlib>

// Bytes from a Modbus device, in RTU and TCP frames, and what they decode to. The first bytes choose the
// request and the format.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace things;
    constexpr std::size_t head = 8;
    if (size < head)
        return 0;
    constexpr std::uint8_t functions[] = {1, 2, 3, 4, 5, 6, 15, 16};
    BusRequest request;
    request.unit = data[0];
    request.function = functions[data[1] % 8];
    const bool writes = request.function > 4;
    request.count =
        static_cast<std::uint16_t>(1 + data[2] % (request.function == 5 || request.function == 6 ? 1 : 120));
    request.address = static_cast<std::uint16_t>(data[3] << 8 | data[4]);
    if (writes)
        request.values.assign(request.count, data[5]);
    const Bytes received{data + head, size - head};
    for (const ModbusAnswer& answer :
         {find_rtu_answer(received, request),
          find_tcp_answer(received, request, static_cast<std::uint16_t>(data[6]))}) {
        if (answer.consumed > received.size())
            std::abort();
        if (answer.kind != ModbusAnswer::Kind::data || writes)
            continue;
        const std::vector<std::uint16_t> words = payload_words(answer.payload, request);
        RegisterFormat format;
        format.type = static_cast<RegisterType>(data[5] % 12);
        format.order = static_cast<RegisterOrder>(data[7] % 4);
        format.length = request.count;
        if (words.size() < register_count(format))
            continue;
        const Decoded decoded = decode(format, words);
        if (decoded.why_not)
            continue;
        const Encoded back = encode(format, decoded.value);
        if (!back.error.empty())
            std::abort(); // what was read can be written
    }
    static_cast<void>(diagnose_rtu(received, request));
    return 0;
}
