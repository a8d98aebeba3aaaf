// SPDX-License-Identifier: Apache-2.0
// things-simulator: joins the parts. One thread: a loop with the platform's port and the control port.
#include "simulator/authority.hpp"
#include "simulator/control.hpp"
#include "simulator/options.hpp"
#include "simulator/platform.hpp"
#include "simulator/session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace things::simulator {
namespace {

// The platform behind the TLS port, with the machine's clock.
class Front : public Handler {
public:
    explicit Front(Platform& platform) : platform_(platform) {}
    Answer answer(const Request& request) override {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return platform_.answer(request, std::chrono::duration<double>(now).count());
    }
    std::optional<Answer> answer_early(const Request&) override { return platform_.answer_early(); }
    void written(const Answer& answer) override { platform_.written(answer); }

private:
    Platform& platform_;
};

// A reader never sees a half-written file.
void write_file(const std::string& path, const std::string& text) {
    if (path.empty())
        return;
    const std::string temporary = path + ".new";
    {
        std::ofstream file(temporary, std::ios::trunc);
        file << text;
        if (!file.flush())
            throw std::runtime_error("cannot write " + temporary);
    }
    std::filesystem::rename(temporary, path);
}

void use(boost::asio::ssl::context& tls, const Identity& identity) {
    tls.set_options(boost::asio::ssl::context::default_workarounds | boost::asio::ssl::context::no_tlsv1 |
                    boost::asio::ssl::context::no_tlsv1_1);
    tls.use_certificate_chain(boost::asio::buffer(identity.certificate));
    tls.use_private_key(boost::asio::buffer(identity.key), boost::asio::ssl::context::pem);
}

void serve(const Options& options) {
    const Identity identity = make_identity(options.flaw, options.host);
    write_file(options.ca_out, identity.authority);
    boost::asio::io_context loop(1);
    boost::asio::ssl::context tls(boost::asio::ssl::context::tls_server);
    use(tls, identity);

    Platform platform(options.platform);
    for (const auto& device : options.devices)
        platform.set_device(device.id, device.secret, device.name);
    if (!options.store.empty())
        platform.ledger().open(options.store);
    Front front(platform);
    Control control(platform);
    Listener platform_port(loop, options.address, options.port, front, &tls);
    Listener control_port(loop, "127.0.0.1", options.control_port, control, nullptr);
    control.set_listener(platform_port);

    write_file(options.port_file, std::to_string(platform_port.port()) + "\n");
    write_file(options.control_port_file, std::to_string(control_port.port()) + "\n");
    std::printf("platform https://%s:%d/ingestion/ip/senml/v1   control http://127.0.0.1:%d   devices %zu\n",
                options.address.c_str(), platform_port.port(), control_port.port(),
                platform.devices().size());
    std::fflush(stdout);
    write_file(options.ready_file, "ready\n");

    boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
    // Closing both ports ends every connection, and with them the loop's work.
    signals.async_wait([&platform_port, &control_port](const boost::system::error_code&, int) {
        platform_port.close();
        control_port.close();
    });
    loop.run();
}

} // namespace
} // namespace things::simulator

int main(int argc, char** argv) {
    try {
        const auto options = things::simulator::parse_options(argc, argv);
        if (const int* code = std::get_if<int>(&options))
            return *code;
        things::simulator::serve(std::get<things::simulator::Options>(options));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "things-simulator: %s\n", error.what());
        return 1;
    }
}
