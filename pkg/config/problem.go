package config

// Problem is something wrong with an object of the configuration that does not keep
// the server from running, such as an identity provider that is left out.
type Problem struct {
	// Secret is the name of the Secret the object is kept in; empty for the file.
	Secret string
	// Name is the object's, as far as it is known.
	Name string
	// Text says what is wrong. It quotes no values, as some are secret.
	Text string
}

// String names the object and the problem.
func (p Problem) String() string {
	switch {
	case p.Secret == "":
		return p.Name + ": " + p.Text
	case p.Name == "":
		return "Secret " + p.Secret + ": " + p.Text
	}
	return p.Name + " (Secret " + p.Secret + "): " + p.Text
}
