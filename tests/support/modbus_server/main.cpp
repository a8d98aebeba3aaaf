// SPDX-License-Identifier: Apache-2.0
#include "modbus_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// modbus-server: a small Modbus TCP device on the loopback, built on libmodbus, for the demo and the tests.
//   modbus-server [--port N] [--port-file FILE] [--unit N]... [--set [UNIT:]TABLE:ADDRESS=VALUE[,VALUE..]]...
//                 [--log FILE]
// Prints "listening on PORT", then one line a write: "write unit=1 fc=6 address=200 values=215". Takes
// commands on stdin (see modbus_store.hpp). Ends with SIGTERM or SIGINT.
namespace {

using things::ModbusStore;

volatile std::sig_atomic_t stopping = 0;

struct Options {
    int port = 0;
    std::string port_file, log_file;
    std::vector<std::uint8_t> units;
    std::vector<std::string> sets;
};

int usage(const std::string& why) {
    std::cerr << "modbus-server: " << why << "\n"
              << "usage: modbus-server [--port N] [--port-file FILE] [--unit N]... [--set "
                 "[UNIT:]TABLE:ADDRESS=VALUE[,VALUE..]]... [--log FILE]\n";
    return 64;
}

std::optional<int> integer(const char* text, int most) {
    int value = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, value);
    return error == std::errc() && stop == end && value >= 0 && value <= most ? std::optional(value)
                                                                              : std::nullopt;
}

std::string parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (i + 1 == argc)
            return name + " needs a value";
        const char* value = argv[i + 1];
        if (name == "--port" && integer(value, 65535))
            options.port = *integer(value, 65535);
        else if (name == "--unit" && integer(value, 255))
            options.units.push_back(static_cast<std::uint8_t>(*integer(value, 255)));
        else if (name == "--port-file")
            options.port_file = value;
        else if (name == "--log")
            options.log_file = value;
        else if (name == "--set")
            options.sets.emplace_back(value);
        else
            return "not understood: " + name + " " + value;
    }
    return "";
}

class Server {
public:
    Server(ModbusStore& store, const std::string& log_file) : store_(&store) {
        if (!log_file.empty())
            log_.open(log_file, std::ios::app);
    }

    int listen(int port) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) < 0 || ::listen(listener_, 64) < 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) < 0)
            return -1;
        return ntohs(address.sin_port);
    }

    void run() {
        bool input = true;
        while (stopping == 0) {
            std::vector<pollfd> fds{{listener_, POLLIN, 0}, {input ? STDIN_FILENO : -1, POLLIN, 0}};
            for (const Client& client : clients_)
                fds.push_back({client.fd, POLLIN, 0});
            if (poll(fds.data(), fds.size(), -1) < 0)
                continue;
            if (fds[1].revents != 0)
                input = read_commands();
            for (std::size_t i = fds.size(); i-- > 2;)
                if (fds[i].revents != 0 && !serve(clients_[i - 2]))
                    drop(i - 2);
            if (fds[0].revents != 0)
                accept_one();
        }
    }

private:
    struct Client {
        int fd = -1;
        modbus_t* context = nullptr;
    };

    void accept_one() {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        modbus_t* context = modbus_new_tcp("127.0.0.1", 502);
        modbus_set_socket(context, fd);
        clients_.push_back({fd, context});
    }

    void drop(std::size_t index) {
        modbus_close(clients_[index].context);
        modbus_free(clients_[index].context);
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(index));
    }

    bool serve(const Client& client) {
        std::array<std::uint8_t, MODBUS_TCP_MAX_ADU_LENGTH> query{};
        const int size = modbus_receive(client.context, query.data());
        if (size <= 0)
            return size == 0;
        const std::uint8_t unit = query[6], function = query[7];
        const unsigned address = query[8] * 256U + query[9];
        const bool many = function != 5 && function != 6;
        const unsigned count = many ? query[10] * 256U + query[11] : 1;
        const ModbusStore::Answer answer = store_->answer(unit, function, address, count);
        if (answer.delay.count() > 0)
            usleep(static_cast<useconds_t>(answer.delay.count() * 1000));
        if (answer.silent)
            return true;
        if (answer.exception != 0)
            return modbus_reply_exception(client.context, query.data(),
                                          static_cast<unsigned>(answer.exception)) >= 0;
        modbus_mapping_t* map = store_->mapping(unit);
        const bool good = modbus_reply(client.context, query.data(), size, map) >= 0;
        if (good && address + count <= 65536 &&
            (function == 5 || function == 6 || function == 15 || function == 16))
            tell(unit, function, address, count, *map);
        return good;
    }

    void tell(unsigned unit, unsigned function, unsigned address, unsigned count,
              const modbus_mapping_t& map) {
        std::string line = "write unit=" + std::to_string(unit) + " fc=" + std::to_string(function) +
                           " address=" + std::to_string(address) + " values=";
        for (unsigned i = 0; i < count; ++i) {
            const bool coil = function == 5 || function == 15;
            const unsigned value = coil ? map.tab_bits[address + i] : map.tab_registers[address + i];
            line += (i > 0 ? "," : "") + std::to_string(value);
        }
        std::cout << line << std::endl;
        if (log_)
            log_ << line << std::endl;
    }

    bool read_commands() {
        std::array<char, 4096> chunk{};
        const ssize_t got = read(STDIN_FILENO, chunk.data(), chunk.size());
        if (got <= 0)
            return false;
        pending_.append(chunk.data(), static_cast<std::size_t>(got));
        for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
            const std::string wrong = store_->command(std::string_view(pending_).substr(0, end));
            std::cout << (wrong.empty() ? "ok" : "error: " + wrong) << std::endl;
            pending_.erase(0, end + 1);
        }
        return true;
    }

    ModbusStore* store_;
    std::ofstream log_;
    int listener_ = -1;
    std::vector<Client> clients_;
    std::string pending_;
};

} // namespace

int main(int argc, char** argv) {
    Options options;
    if (const std::string wrong = parse(argc, argv, options); !wrong.empty())
        return usage(wrong);
    ModbusStore store;
    store.limit_to(options.units);
    for (const std::string& text : options.sets)
        if (const std::string wrong = store.set(text); !wrong.empty())
            return usage("--set " + text + ": " + wrong);
    struct sigaction action {};
    action.sa_handler = [](int) {
        stopping = 1;
    };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    Server server(store, options.log_file);
    const int port = server.listen(options.port);
    if (port < 0) {
        std::cerr << "modbus-server: cannot listen: " << std::strerror(errno) << "\n";
        return 1;
    }
    if (!options.port_file.empty()) {
        const std::string partial = options.port_file + ".new"; // whoever waits for the file finds it whole
        std::ofstream(partial) << port << "\n";
        std::rename(partial.c_str(), options.port_file.c_str());
    }
    std::cout << "listening on " << port << std::endl;
    server.run();
    return 0;
}
