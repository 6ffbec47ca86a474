package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"

	driver "github.com/go-sql-driver/mysql"

	"flowtools/internal/clib"
	"flowtools/internal/export"
)

const defaultPort = 3306

// sockets are the places where servers put their local socket.
var sockets = []string{"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"}

// config makes the driver's configuration from -u.
func config(db *export.Database) (cfg *driver.Config, table string, err error) {
	u, err := export.ParseURI(db, "mysql", "mariadb")
	if err != nil {
		return nil, "", err
	}
	own := url.Values{} // parameters that are not the driver's
	for _, key := range []string{"socket", "ssl-ca", "ssl-cert", "ssl-key"} {
		if u.Query.Has(key) {
			own.Set(key, u.Query.Get(key))
			u.Query.Del(key)
		}
	}
	cfg, err = driver.ParseDSN("/?" + u.Query.Encode())
	if err != nil {
		return nil, "", fmt.Errorf("-u: %w", err)
	}
	cfg.User, cfg.Passwd, cfg.DBName = u.User, u.Password, u.Name
	cfg.Logger = &driver.NopLogger{}
	cfg.Net, cfg.Addr = address(u.Host, u.Port, own.Get("socket"))
	if own.Has("ssl-ca") || own.Has("ssl-cert") {
		if cfg.TLS, err = tlsConfig(u.Host, own); err != nil {
			return nil, "", fmt.Errorf("-u: %w", err)
		}
	}
	return cfg, u.Table, nil
}

// address says where the server is. Host localhost or none means its local
// socket, and TCP only where there is no such socket.
func address(host, port, socket string) (network, addr string) {
	if socket == "" && (host == "" || host == "localhost") {
		for _, name := range sockets {
			if info, err := os.Stat(name); err == nil && info.Mode()&os.ModeSocket != 0 {
				socket = name
				break
			}
		}
	}
	if socket != "" {
		return "unix", socket
	}
	n := clib.Atoi(port)
	if n == 0 {
		n = defaultPort
	}
	if host == "" {
		host = "localhost"
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(int(n)))
}

func tlsConfig(host string, own url.Values) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if name := own.Get("ssl-ca"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificates", name)
		}
	}
	if name := own.Get("ssl-cert"); name != "" {
		pair, err := tls.LoadX509KeyPair(name, own.Get("ssl-key"))
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
