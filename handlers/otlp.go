package handlers

import (
	"net/http"
	"time"

	"pulseboard/store/ingest"
	"pulseboard/store/ingest/otlp"
)

// postOTLP takes in a signal of OpenTelemetry. Errors too are answered in the
// request's own encoding.
func (s *Server) postOTLP(signal otlp.Signal) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		encoding, known := otlp.ParseEncoding(r.Header.Get("Content-Type"))
		var answer []byte
		err := error(fail(http.StatusUnsupportedMediaType, "unsupported_type", "Send %s or %s.", otlp.Protobuf, otlp.JSON))
		if known {
			answer, err = s.export(r, signal, encoding)
		}
		status := http.StatusOK
		if err != nil {
			e := asHTTPError(err)
			s.beginError(w, r, e)
			status = e.Status
			if answer, err = otlp.Failure(encoding, e.Status, e.Message); err != nil {
				return err
			}
		}
		w.Header().Set("Content-Type", string(encoding))
		w.WriteHeader(status)
		_, _ = w.Write(answer) // a reader that went away is no error of ours
		return nil
	}
}

// export keeps the events of a request and gives the answer.
func (s *Server) export(r *http.Request, signal otlp.Signal, encoding otlp.Encoding) ([]byte, error) {
	taken, err := s.takeIn(r, form{decode: func(body []byte, now time.Time) (ingest.Sent, error) {
		batch, err := otlp.Decode(signal, encoding, body, now)
		return ingest.Sent{Batch: batch}, err
	}})
	if err != nil {
		return nil, err
	}
	return otlp.Answer(signal, encoding, taken.Rejected)
}
